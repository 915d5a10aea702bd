// SPDX-License-Identifier: Apache-2.0
#include "shared/model_question.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace auspex {
namespace {

ModelQuestion full_question() {
  return {
      .id = 7,
      .kind = QuestionKind::kCheck,
      .uid = 1000,
      .gid = 100,
      .identity = {1, 2, 3, 4},
      .run = {"/home/ada/net.onnx", "a100-40gb", "3x224x224", "training", "half", "sgd", 32, 700}};
}

ModelReply full_reply() {
  return {9, true, {5, 6, 7, 8}, {ModelNeed{3000, 3500, 20, 4, {50, 40, 30}}, ""}};
}

TEST(ModelQuestion, ArrivesAsItWasSent) {
  const ModelQuestion question = full_question();
  EXPECT_EQ(decode_question(*encode(question)), question);
  EXPECT_EQ(decode_question(*encode(ModelQuestion{})), ModelQuestion{});
  ModelQuestion longer = question;
  longer.run.path.assign(kMaxQuestionBytes, 'x');
  EXPECT_FALSE(encode(longer));
}

TEST(ModelReply, ArrivesAsItWasSent) {
  const auto reply = decode_reply(encode(full_reply()));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->id, 9U);
  EXPECT_TRUE(reply->same);
  EXPECT_EQ(reply->identity, full_reply().identity);
  EXPECT_EQ(reply->answer.need, full_reply().answer.need);
  const auto refusal = decode_reply(encode(ModelReply{1, false, {}, {std::nullopt, "a pipe"}}));
  ASSERT_TRUE(refusal);
  EXPECT_FALSE(refusal->answer.need);
  EXPECT_EQ(refusal->answer.refusal, "a pipe");
}

TEST(ModelReply, ALongRefusalIsCut) {
  const auto reply =
      decode_reply(encode(ModelReply{1, false, {}, {std::nullopt, std::string(5000, 'x')}}));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->answer.refusal.size(), 512U);
}

TEST(ModelQuestion, APieceOfAMessageIsNone) {
  const std::string question = *encode(full_question()), reply = encode(full_reply());
  for (size_t size = 0; size < question.size(); ++size) {
    EXPECT_FALSE(decode_question({question.data(), size})) << size;
  }
  for (size_t size = 0; size < reply.size(); ++size) {
    EXPECT_FALSE(decode_reply({reply.data(), size})) << size;
  }
  EXPECT_FALSE(decode_question(question + "x"));
  EXPECT_FALSE(decode_reply(reply + "x"));
}

TEST(ModelReply, FiguresThatThereCannotBeAreRefused) {
  const auto refused = [](auto change) {
    ModelReply reply = full_reply();
    change(*reply.answer.need);
    return !decode_reply(encode(reply));
  };
  EXPECT_FALSE(refused([](ModelNeed&) {}));
  for (const double bad : {-1.0, std::nan(""), std::numeric_limits<double>::infinity(), 1e300}) {
    EXPECT_TRUE(refused([bad](ModelNeed& need) { need.memory_mib = bad; })) << bad;
    EXPECT_TRUE(refused([bad](ModelNeed& need) { need.memory_upper_mib = bad; })) << bad;
    EXPECT_TRUE(refused([bad](ModelNeed& need) { need.latency_ms = bad; })) << bad;
    EXPECT_TRUE(refused([bad](ModelNeed& need) { need.energy_j = bad; })) << bad;
    EXPECT_TRUE(refused([bad](ModelNeed& need) { need.slice_ms[1] = bad; })) << bad;
  }
  EXPECT_TRUE(refused([](ModelNeed& need) { need.slice_ms.resize(17); }));
}

}  // namespace
}  // namespace auspex
