// SPDX-License-Identifier: Apache-2.0
#include "shared/slice_audit.h"

#include <gtest/gtest.h>

namespace auspex {
namespace {

const SliceAudit kAudit = {"gres:gpu:1", "gres:gpu:2g.10gb:1", 4615};
constexpr const char* kText =
    "auspex-mig:1 asked=gres:gpu:1 applied=gres:gpu:2g.10gb:1 memory=4615";

TEST(SliceAudit, IsFoundAgainWhateverStandsAroundIt) {
  EXPECT_EQ(slice_audit_text(kAudit), kText);
  EXPECT_EQ(find_slice_audit(kText), kAudit);
  EXPECT_EQ(find_slice_audit("auspex:1 asked=60 applied=30 " + std::string(kText)), kAudit);
  EXPECT_EQ(find_slice_audit(std::string("mine ") + kText + " of others"), kAudit);
  const SliceAudit later = {"gres:gpu:1", "gres:gpu:1g.5gb:1", 900};
  EXPECT_EQ(find_slice_audit(std::string(kText) + " " + slice_audit_text(later)), later);
}

TEST(SliceAudit, WhatIsNotWholeIsNone) {
  const std::string text = kText;
  for (size_t size = 0; size + 4 <= text.size(); ++size) {
    EXPECT_FALSE(find_slice_audit(text.substr(0, size))) << size;
  }
  for (const char* none :
       {"auspex-mig:2 asked=a applied=b memory=1", "xauspex-mig:1 asked=a applied=b memory=1",
        "auspex-mig:1 asked= applied=b memory=1", "auspex-mig:1 asked=a applied=b memory=1x",
        "auspex-mig:1 asked=a applied=b memory=inf", "auspex-mig:1 applied=b asked=a memory=1"}) {
    EXPECT_FALSE(find_slice_audit(none)) << none;
  }
  EXPECT_EQ(find_slice_audit(text + " auspex-mig:1 asked=cut"), kAudit);
}

}  // namespace
}  // namespace auspex
