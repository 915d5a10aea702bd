// SPDX-License-Identifier: Apache-2.0
#include "ipc/site_codec.h"

#include <gtest/gtest.h>

namespace auspex::ipc {
namespace {

GuardReport full_report() {
  GuardReport report;
  report.first = true;
  report.fault = "slurmctld does not answer";
  report.site = Site{.slurm_version = 0x160508,
                     .soft_limits = true,
                     .partitions = {{"cpu", 2880, 60, true},
                                    {"gpu", 600, std::nullopt, false, {"1g.5gb", "a100"}}},
                     .blockages = {{"gpu", 1'800'000'000}},
                     .guard_fault = std::nullopt};
  report.jobs = 1;
  report.guarded = 2;
  report.extended = 3;
  report.left_to_others = 4;
  report.failed = 5;
  report.shortest_lead_s = -6;
  report.sweep_ms = 7.5;
  report.changes = {{8, ChangeKind::kGivenBack, 1'800'000'000, 9, 10}};
  return report;
}

Result<GuardReport> through_the_wire(const GuardReport& report) {
  const auto decoded = decode_request(*encode(Message<Request>{1, report}));
  if (!decoded) return decoded.error();
  return std::get<GuardReport>(decoded->body);
}

TEST(SiteCodec, CarriesAGuardsReport) {
  const auto report = through_the_wire(full_report());
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_TRUE(report->first);
  EXPECT_EQ(report->fault, "slurmctld does not answer");
  EXPECT_EQ(report->site, full_report().site);
  EXPECT_EQ(report->jobs, 1U);
  EXPECT_EQ(report->guarded, 2U);
  EXPECT_EQ(report->extended, 3U);
  EXPECT_EQ(report->left_to_others, 4U);
  EXPECT_EQ(report->failed, 5U);
  EXPECT_EQ(report->shortest_lead_s, -6);
  EXPECT_EQ(report->sweep_ms, 7.5);
  EXPECT_EQ(report->changes, full_report().changes);
  const auto empty = through_the_wire({});
  EXPECT_FALSE(empty->fault || empty->site || empty->shortest_lead_s);
  EXPECT_TRUE(decode_reply(*encode(Message<Reply>{8, GuardReply{}})).ok());
}

TEST(SiteCodec, CarriesASite) {
  Site site = *full_report().site;
  site.guard_fault = "silent";
  const auto decoded = decode_reply(*encode(Message<Reply>{9, SiteReply{site}}));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(std::get<SiteReply>(decoded->body).site, site);
  EXPECT_TRUE(std::holds_alternative<SiteRequest>(
      decode_request(*encode(Message<Request>{1, SiteRequest{}}))->body));
}

TEST(SiteCodec, RefusesAReportThatCannotBe) {
  const auto refused = [](const GuardReport& report) {
    const auto known = through_the_wire(report);
    return known ? "" : known.error().message;
  };
  const auto refusal = [&refused](auto change) {
    GuardReport report = full_report();
    change(*report.site);
    return refused(report);
  };
  GuardReport report = full_report();
  report.changes.resize(kMaxChanges);
  EXPECT_EQ(refused(report), "");
  report.changes.resize(kMaxChanges + 1);
  EXPECT_EQ(refused(report), "65 changes, at most 64");
  report.changes = {{.kind = static_cast<ChangeKind>(kChangeKinds)}};
  EXPECT_EQ(refused(report), "a change of a kind or time that there is not");
  EXPECT_EQ(refusal([](Site& s) { s.partitions.resize(kMaxPartitions); }), "");
  EXPECT_EQ(refusal([](Site& s) { s.partitions.resize(kMaxPartitions + 1); }),
            "513 partitions, 1 blockages: too many");
  EXPECT_EQ(refusal([](Site& s) { s.blockages.resize(kMaxBlockages + 1); }),
            "2 partitions, 513 blockages: too many");
  EXPECT_EQ(refusal([](Site& s) { s.partitions[0].name.assign(kMaxNameBytes + 1, 'x'); }),
            "a partition's name of 257 bytes");
  const std::vector<std::string> types(kMaxGpuTypes / 2, "a100");
  EXPECT_EQ(
      refusal([&](Site& s) { s.partitions[0].gpu_types = s.partitions[1].gpu_types = types; }), "");
  EXPECT_EQ(refusal([&](Site& s) {
              s.partitions[0].gpu_types = s.partitions[1].gpu_types = types;
              s.partitions[1].gpu_types.push_back("h100");
            }),
            "more than 512 GPU types");
  EXPECT_EQ(refusal([](Site& s) { s.partitions[0].gpu_types = {std::string(257, 'x')}; }),
            "a GPU type of 257 bytes");
  EXPECT_EQ(refusal([](Site& s) { s.blockages[0].start_s = -1; }), "blockage time is out of range");
}

}  // namespace
}  // namespace auspex::ipc
