// SPDX-License-Identifier: Apache-2.0
#include "shared/precision.h"

#include <gtest/gtest.h>

namespace auspex {
namespace {

using enum Precision;
using Precisions = std::vector<Precision>;

TEST(Precision, OneNameStandsForAllLayersButTheFewThatStayFiner) {
  EXPECT_EQ(*precisions_named("fp32", 3), (Precisions{kFp32, kFp32, kFp32}));
  EXPECT_EQ(*precisions_named("bf16", 3), (Precisions{kBf16, kBf16, kBf16}));
  EXPECT_EQ(*precisions_named("int8", 4), (Precisions{kInt8, kInt8, kInt8, kBf16}));
  EXPECT_EQ(*precisions_named("int4", 4), (Precisions{kInt8, kInt4, kInt4, kBf16}));
  EXPECT_EQ(*precisions_named("int8-2:4", 3), (Precisions{kInt8, kInt8Pairs, kBf16}));
}

TEST(Precision, EachLayerCanHaveItsOwn) {
  EXPECT_EQ(*precisions_named("int8,int4,fp32", 3), (Precisions{kInt8, kInt4, kFp32}));
}

TEST(Precision, TextIsTheShortestThatIsReadBack) {
  for (const char* text : {"fp32", "bf16", "int8", "int4", "int8-2:4", "int8,fp32,bf16"}) {
    EXPECT_EQ(precisions_text(*precisions_named(text, 3)), text);
  }
  EXPECT_EQ(precisions_text(*precisions_named("int8,int4,bf16", 3)), "int4");
}

TEST(Precision, AMistakeIsNamed) {
  const auto complaint = [](std::string_view text) {
    return precisions_named(text, 3).error().message;
  };
  EXPECT_EQ(complaint("int3"), "precision \"int3\"; allowed are: fp32 bf16 int8 int4 int8-2:4");
  EXPECT_EQ(complaint("int8,,bf16"), "precision \"\"; allowed are: fp32 bf16 int8 int4 int8-2:4");
  EXPECT_EQ(complaint(""), "precision \"\"; allowed are: fp32 bf16 int8 int4 int8-2:4");
  EXPECT_EQ(complaint("int8,bf16"), "precision \"int8,bf16\" is of 2 layers, the model has 3");
}

}  // namespace
}  // namespace auspex
