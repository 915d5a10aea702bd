// SPDX-License-Identifier: Apache-2.0
#include "shared/message.h"

#include <gtest/gtest.h>

#include "shared/config.h"

namespace auspex {
namespace {

Decision decision(Mode mode) {
  Decision d;
  d.mode = mode;
  d.asked_min = 1440;
  d.proposed_min = 190;
  d.quantile_level = .95;
  d.prediction = Prediction{};
  d.prediction->quantiles_s.fill(60 * 111.5);
  return d;
}

TEST(Message, FillsInTheSitesWords) {
  EXPECT_EQ(
      message_text("{asked} to {limit}, {share}, half in {p50} ({mode})", decision(Mode::kHard)),
      "1-00:00:00 to 03:10:00, 95 %, half in 01:52:00 (hard)");
}

TEST(Message, PromisesToExtendOnlyWhereSomebodyDoes) {
  const std::string text = Config{}.message.shortened;
  EXPECT_NE(message_text(text, decision(Mode::kGuarded)).find("extended up to 1-00:00:00"),
            std::string::npos);
  EXPECT_EQ(message_text(text, decision(Mode::kHard)).find("extended"), std::string::npos);
}

TEST(Message, NamesAFieldThatThereIsNot) {
  EXPECT_EQ(unknown_field("{asked} {limit} no brace"), std::nullopt);
  EXPECT_EQ(unknown_field("{asked} {user}."), "{user}");
  EXPECT_EQ(unknown_field("{asked} { "), "{ ");
  EXPECT_EQ(unknown_field("{{asked}"), "{{asked}");
}

TEST(Message, StaysWithinTheProtocol) {
  std::string text;
  while (text.size() + 10 <= kMaxMessageTemplateBytes) text += "{extended}";
  EXPECT_EQ(message_text(text, decision(Mode::kGuarded)).size(), kMaxMessageTextBytes);
}

}  // namespace
}  // namespace auspex
