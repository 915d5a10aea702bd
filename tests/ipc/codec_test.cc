// SPDX-License-Identifier: Apache-2.0
#include "ipc/codec.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "ipc/wire_generated.h"

namespace auspex::ipc {
namespace {

Submission full_submission() {
  Submission s;
  s.kind = SubmissionKind::kBatch;
  s.submit_time_s = 1'700'000'000;
  s.user = "1000";
  s.group = "1001";
  s.account = "bio";
  s.partition = "gpu";
  s.qos = "normal";
  s.name = "caf\xe9 \xff not UTF-8";
  s.work_dir = "/home/alice";
  s.submit_line = "sbatch -t 60 job.sh";
  s.features = "avx512";
  s.reservation = "maint";
  s.dependency = "afterok:1";
  s.licenses = "matlab:1";
  s.array = "0-9";
  s.wckey = "w";
  s.comment = "c";
  s.admin_comment = "a";
  s.tres_per_job = "gres/gpu:2";
  s.tres_per_node = "gres:gpu:1";
  s.tres_per_socket = "gres/gpu:3";
  s.tres_per_task = "gres/gpu:4";
  s.cpus_per_tres = "gpu:8";
  s.mem_per_tres = "gpu:1024";
  s.argv = {"job.sh", "", "x y"};
  s.environment = {"AUSPEX=off"};
  s.script = "#!/bin/sh\n";
  s.time_limit_min = 60;
  s.time_min_min = 30;
  s.num_tasks = 4;
  s.cpus_per_task = 2;
  s.ntasks_per_node = 2;
  s.min_cpus = 8;
  s.pn_min_cpus = 1;
  s.min_nodes = 2;
  s.max_nodes = 3;
  s.memory_per_node_mib = 4000;
  s.memory_per_cpu_mib = 0;  // asked for, and zero
  s.begin_time_s = 5;
  s.deadline_s = 6;
  s.nice = 7;
  s.priority = 0;
  s.warn_time_s = 60;
  s.warn_signal = 10;
  s.exclusive = true;
  s.requeue = true;
  return s;
}

Message<Request> full_request() {
  return {42, DecideRequest{full_submission(), {99, 17, 5, 1, 2, 3, 4}, 0x160508}};
}

Message<Reply> full_reply() {
  DecideReply reply;
  reply.edits = {.time_limit_min = 30,
                 .time_min_min = 10,
                 .site_factor = -5,
                 .tres_per_job = "gres/gpu:1g.5gb:1",
                 .tres_per_node = std::nullopt,
                 .tres_per_socket = std::nullopt,
                 .tres_per_task = std::nullopt,
                 .comment = std::nullopt,
                 .admin_comment = "auspex:1",
                 .message = ""};
  reply.deadline = std::chrono::microseconds(1500);
  return {43, reply};
}

std::string bytes_of(const Submission& s) {
  const auto bytes = encode(Message<Request>{1, DecideRequest{s, {}, 0}});
  EXPECT_TRUE(bytes.ok());
  return {bytes->begin(), bytes->end()};
}

TEST(Codec, CarriesEveryFieldOfASubmission) {
  const auto bytes = encode(full_request());
  ASSERT_TRUE(bytes.ok());
  const auto decoded = decode_request(*bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(decoded->id, 42U);
  const auto& request = std::get<DecideRequest>(decoded->body);
  EXPECT_EQ(request.report, (CallReport{99, 17, 5, 1, 2, 3, 4}));
  EXPECT_EQ(request.slurm_version, 0x160508U);
  // Equal fields make equal bytes; what a field means is seen in these few.
  EXPECT_EQ(bytes_of(request.submission), bytes_of(full_submission()));
  EXPECT_EQ(request.submission.name, "caf\xe9 \xff not UTF-8");
  EXPECT_EQ(request.submission.argv, (std::vector<std::string>{"job.sh", "", "x y"}));
  EXPECT_EQ(request.submission.memory_per_cpu_mib, 0U);
  EXPECT_EQ(request.submission.priority, 0U);
}

TEST(Codec, EverySubmissionFieldReachesTheWire) {
  const std::string full = bytes_of(full_submission());
  const auto differs = [&full](auto change) {
    Submission s = full_submission();
    change(s);
    return bytes_of(s) != full;
  };
  EXPECT_TRUE(differs([](Submission& s) { s.kind = SubmissionKind::kInteractive; }));
  EXPECT_TRUE(differs([](Submission& s) { s.submit_time_s = 0; }));
  for (auto member : {&Submission::user,
                      &Submission::group,
                      &Submission::account,
                      &Submission::partition,
                      &Submission::qos,
                      &Submission::name,
                      &Submission::work_dir,
                      &Submission::submit_line,
                      &Submission::features,
                      &Submission::reservation,
                      &Submission::dependency,
                      &Submission::licenses,
                      &Submission::array,
                      &Submission::wckey,
                      &Submission::comment,
                      &Submission::admin_comment,
                      &Submission::tres_per_job,
                      &Submission::tres_per_node,
                      &Submission::tres_per_socket,
                      &Submission::tres_per_task,
                      &Submission::cpus_per_tres,
                      &Submission::mem_per_tres,
                      &Submission::script}) {
    EXPECT_TRUE(differs([member](Submission& s) { s.*member = ""; }));
  }
  for (auto member : {&Submission::argv, &Submission::environment}) {
    EXPECT_TRUE(differs([member](Submission& s) { (s.*member).clear(); }));
  }
  for (auto member :
       {&Submission::time_limit_min, &Submission::time_min_min, &Submission::num_tasks,
        &Submission::cpus_per_task, &Submission::ntasks_per_node, &Submission::min_cpus,
        &Submission::pn_min_cpus, &Submission::min_nodes, &Submission::max_nodes, &Submission::nice,
        &Submission::priority}) {
    EXPECT_TRUE(differs([member](Submission& s) { (s.*member).reset(); }));
  }
  for (auto member : {&Submission::memory_per_node_mib, &Submission::memory_per_cpu_mib}) {
    EXPECT_TRUE(differs([member](Submission& s) { (s.*member).reset(); }));
  }
  for (auto member : {&Submission::begin_time_s, &Submission::deadline_s}) {
    EXPECT_TRUE(differs([member](Submission& s) { (s.*member).reset(); }));
  }
  for (auto member : {&Submission::warn_time_s, &Submission::warn_signal}) {
    EXPECT_TRUE(differs([member](Submission& s) { s.*member = 0; }));
  }
  for (auto member : {&Submission::exclusive, &Submission::requeue}) {
    EXPECT_TRUE(differs([member](Submission& s) { s.*member = false; }));
  }
}

TEST(Codec, CarriesEdits) {
  const auto bytes = encode(full_reply());
  ASSERT_TRUE(bytes.ok());
  const auto decoded = decode_reply(*bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(decoded->id, 43U);
  const auto& reply = std::get<DecideReply>(decoded->body);
  EXPECT_EQ(reply.edits, std::get<DecideReply>(full_reply().body).edits);
  EXPECT_EQ(reply.deadline.count(), 1500);
}

TEST(Codec, CarriesStatusAndErrors) {
  const auto status = encode(Message<Reply>{1, StatusReply{"{}"}});
  const auto error = encode(Message<Reply>{2, ErrorReply{"no"}});
  ASSERT_TRUE(status.ok() && error.ok());
  EXPECT_EQ(std::get<StatusReply>(decode_reply(*status)->body).json, "{}");
  EXPECT_EQ(std::get<ErrorReply>(decode_reply(*error)->body).reason, "no");
}

JobEvent full_event() {
  return {EventKind::kEnded,
          full_submission(),
          1'700'000'060,
          1'700'000'120,
          59.5,
          Ending::kAtLimit,
          4711,
          4700};
}

TEST(Codec, CarriesEvents) {
  const Message<Request> message{7, EventsRequest{{full_event(), JobEvent{}}}};
  const auto decoded = decode_request(*encode(message));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(decoded->id, 7U);
  const auto& events = std::get<EventsRequest>(decoded->body).events;
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].kind, EventKind::kEnded);
  EXPECT_EQ(bytes_of(events[0].submission), bytes_of(full_submission()));
  EXPECT_EQ(events[0].start_s, 1'700'000'060);
  EXPECT_EQ(events[0].end_s, 1'700'000'120);
  EXPECT_EQ(events[0].runtime_s, 59.5);
  EXPECT_EQ(events[0].ending, Ending::kAtLimit);
  EXPECT_EQ(events[0].job_id, 4711U);
  EXPECT_EQ(events[0].array_id, 4700U);
  EXPECT_EQ(events[1].kind, EventKind::kSubmitted);
  EXPECT_EQ(events[1].submission.user, "") << "nobody";
  const auto reply = decode_reply(*encode(Message<Reply>{8, EventsReply{2}}));
  EXPECT_EQ(std::get<EventsReply>(reply->body).accepted, 2U);
}

std::string refusal_of(const EventsRequest& request) {
  const auto decoded = decode_request(*encode(Message<Request>{1, request}));
  return decoded ? "" : decoded.error().message;
}

TEST(Codec, RefusesEventsThatCannotBe) {
  const auto refusal = [](auto change) {
    EventsRequest request{{full_event()}};
    change(request.events[0]);
    return refusal_of(request);
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(refusal([](JobEvent&) {}), "");
  EXPECT_EQ(refusal([](JobEvent& e) { e.kind = static_cast<EventKind>(3); }),
            "event kind 3 is not known");
  EXPECT_EQ(refusal([](JobEvent& e) { e.ending = static_cast<Ending>(3); }),
            "ending 3 is not known");
  EXPECT_EQ(refusal([](JobEvent& e) { e.start_s = -1; }), "event time is out of range");
  EXPECT_EQ(refusal([](JobEvent& e) { e.end_s = kMaxTimeS + 1; }), "event time is out of range");
  EXPECT_EQ(refusal([nan](JobEvent& e) { e.runtime_s = nan; }), "runtime is out of range");
  EXPECT_EQ(refusal([](JobEvent& e) { e.runtime_s = -1; }), "runtime is out of range");
  EXPECT_EQ(refusal([](JobEvent& e) { e.submission.submit_time_s = -1; }),
            "submit time -1 is out of range");
  EXPECT_EQ(refusal([](JobEvent& e) { e.submission.argv.resize(kMaxArguments + 1); }),
            "17 arguments or variables, at most 16");
  EXPECT_EQ(refusal_of({std::vector<JobEvent>(kMaxJobEvents)}), "");
  EXPECT_EQ(refusal_of({std::vector<JobEvent>(kMaxJobEvents + 1)}), "65 events, at most 64");
}

// A message of 40 KB whose 64 events all are the same one would unfold to 64 times its text.
TEST(Codec, RefusesAMessageThatUnfolds) {
  flatbuffers::FlatBufferBuilder builder;
  const auto script = builder.CreateString(std::string(30'000, 's'));
  wire::SubmissionBuilder submission(builder);
  submission.add_script(script);
  const auto event = wire::CreateJobEvent(builder, 0, submission.Finish());
  const auto events = builder.CreateVector(std::vector(kMaxJobEvents, event));
  const auto body = wire::CreateEventsRequest(builder, events).Union();
  builder.FinishSizePrefixed(
      wire::CreateEnvelope(builder, kProtocolVersion, 1, wire::Body::EventsRequest, body),
      wire::EnvelopeIdentifier());
  const auto decoded = decode_request({builder.GetBufferPointer(), builder.GetSize()});
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().message, "texts of more bytes than a message has");
}

TEST(Codec, LargestAllowedSubmissionFits) {
  Submission s = full_submission();
  for (auto member :
       {&Submission::account, &Submission::partition, &Submission::qos, &Submission::features,
        &Submission::reservation, &Submission::dependency, &Submission::licenses,
        &Submission::array, &Submission::wckey, &Submission::tres_per_job,
        &Submission::tres_per_node, &Submission::tres_per_socket, &Submission::tres_per_task,
        &Submission::cpus_per_tres, &Submission::mem_per_tres}) {
    s.*member = std::string(kMaxNameBytes, 'n');
  }
  for (auto member : {&Submission::name, &Submission::work_dir, &Submission::comment}) {
    s.*member = std::string(kMaxTextBytes, 't');
  }
  s.submit_line = s.admin_comment = std::string(kMaxLineBytes, 'l');
  s.argv.assign(kMaxArguments, std::string(kMaxNameBytes, 'a'));
  s.environment.assign(kMaxVariables, std::string(kMaxNameBytes, 'e'));
  s.script = std::string(kMaxScriptBytes, 's');
  const auto bytes = encode(Message<Request>{1, DecideRequest{s, {}, 0}});
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;
  EXPECT_TRUE(decode_request(*bytes).ok());
}

TEST(Codec, RefusesToEncodeMoreThanTheCap) {
  Submission s;
  s.script = std::string(kMaxMessageBytes, 's');
  const auto bytes = encode(Message<Request>{1, DecideRequest{s, {}, 0}});
  ASSERT_FALSE(bytes.ok());
  EXPECT_NE(bytes.error().message.find("65536"), std::string::npos) << bytes.error().message;
}

TEST(Codec, RefusesEveryTruncation) {
  const auto request = *encode(full_request());
  for (size_t size = 0; size < request.size(); ++size) {
    const std::vector<uint8_t> part(request.begin(), request.begin() + static_cast<long>(size));
    EXPECT_FALSE(decode_request(part).ok()) << size;
  }
  const auto reply = *encode(full_reply());
  for (size_t size = 0; size < reply.size(); ++size) {
    const std::vector<uint8_t> part(reply.begin(), reply.begin() + static_cast<long>(size));
    EXPECT_FALSE(decode_reply(part).ok()) << size;
  }
}

// Under the sanitizers this is where a read out of bounds would show.
TEST(Codec, SurvivesEveryFlippedByte) {
  const auto whole = *encode(full_request());
  int accepted = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xff}) {
      auto bytes = whole;
      bytes[at] = static_cast<uint8_t>(bytes[at] ^ change);
      accepted += decode_request(bytes).ok();
    }
  }
  EXPECT_GT(accepted, 0);  // a changed letter in a name is still a message
  EXPECT_LT(accepted, static_cast<int>(3 * whole.size()));
}

TEST(Codec, SurvivesNoise) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<uint8_t> bytes(random() % 512);
    for (auto& byte : bytes) byte = static_cast<uint8_t>(random());
    EXPECT_FALSE(decode_request(bytes).ok());
    EXPECT_FALSE(decode_reply(bytes).ok());
  }
}

TEST(Codec, RefusesAnOversizedMessage) {
  EXPECT_FALSE(decode_reply(std::vector<uint8_t>(kMaxMessageBytes + 1)).ok());
}

TEST(Codec, RefusesTheOtherDirection) {
  EXPECT_EQ(decode_reply(*encode(full_request())).error().message, "not a reply");
  EXPECT_EQ(decode_request(*encode(full_reply())).error().message, "not a request");
}

TEST(Codec, NamesBothVersions) {
  flatbuffers::FlatBufferBuilder builder;
  const auto body = wire::CreateStatusRequest(builder).Union();
  builder.FinishSizePrefixed(wire::CreateEnvelope(builder, 99, 1, wire::Body::StatusRequest, body),
                             wire::EnvelopeIdentifier());
  const auto decoded = decode_request({builder.GetBufferPointer(), builder.GetSize()});
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().message, "protocol version 99, this side speaks 1");
}

}  // namespace
}  // namespace auspex::ipc
