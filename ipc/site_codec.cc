// SPDX-License-Identifier: Apache-2.0
#include "ipc/site_codec.h"

#include <cmath>

#include "ipc/submission_codec.h"

namespace auspex::ipc {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

Offset<wire::Site> put(FlatBufferBuilder& b, const Site& site) {
  std::vector<Offset<wire::Partition>> partitions;
  for (const Partition& partition : site.partitions) {
    const auto name = b.CreateString(partition.name);
    const auto types =
        partition.gpu_types.empty() ? 0 : b.CreateVectorOfStrings(partition.gpu_types);
    wire::PartitionBuilder out(b);
    out.add_name(name);
    out.add_max_min(partition.max_min);
    if (partition.default_min) out.add_default_min(*partition.default_min);
    out.add_is_default(partition.is_default);
    out.add_gpu_types(types);
    partitions.push_back(out.Finish());
  }
  std::vector<Offset<wire::Blockage>> blockages;
  for (const Blockage& blockage : site.blockages) {
    blockages.push_back(
        wire::CreateBlockage(b, b.CreateString(blockage.partition), blockage.start_s));
  }
  return wire::CreateSite(b, site.slurm_version, site.soft_limits, b.CreateVector(partitions),
                          b.CreateVector(blockages));
}

Status check_name(const flatbuffers::String* name) {
  if (name->size() <= kMaxNameBytes) return Done{};
  return Error{"a partition's name of " + std::to_string(name->size()) + " bytes"};
}

Status get_gpu_types(const wire::Partition& in, size_t& left, std::vector<std::string>& types) {
  if (in.gpu_types() == nullptr) return Done{};
  if (in.gpu_types()->size() > left) {
    return Error{"more than " + std::to_string(kMaxGpuTypes) + " GPU types"};
  }
  left -= in.gpu_types()->size();
  for (const auto* type : *in.gpu_types()) {
    if (type->size() > kMaxNameBytes) {
      return Error{"a GPU type of " + std::to_string(type->size()) + " bytes"};
    }
    types.push_back(type->str());
  }
  return Done{};
}

Result<Site> get(const wire::Site& in) {
  if (in.partitions()->size() > kMaxPartitions || in.blockages()->size() > kMaxBlockages) {
    return Error{std::to_string(in.partitions()->size()) + " partitions, " +
                 std::to_string(in.blockages()->size()) + " blockages: too many"};
  }
  Site site;
  site.slurm_version = in.slurm_version();
  site.soft_limits = in.soft_limits();
  size_t types_left = kMaxGpuTypes;
  for (const auto* partition : *in.partitions()) {
    if (Status fits = check_name(partition->name()); !fits) return fits.error();
    const auto asked = partition->default_min();
    site.partitions.push_back({partition->name()->str(),
                               partition->max_min(),
                               asked ? std::optional<uint32_t>(*asked) : std::nullopt,
                               partition->is_default(),
                               {}});
    Status known = get_gpu_types(*partition, types_left, site.partitions.back().gpu_types);
    if (!known) return known.error();
  }
  for (const auto* blockage : *in.blockages()) {
    if (Status fits = check_name(blockage->partition()); !fits) return fits.error();
    if (!is_time(blockage->start_s())) return Error{"blockage time is out of range"};
    site.blockages.push_back({blockage->partition()->str(), blockage->start_s()});
  }
  return site;
}

}  // namespace

Offset<wire::GuardReport> put_guard_report(FlatBufferBuilder& b, const GuardReport& report) {
  const auto fault = report.fault ? b.CreateString(*report.fault) : 0;
  const auto site = report.site ? put(b, *report.site) : 0;
  std::vector<Offset<wire::LimitChange>> changes;
  for (const LimitChange& change : report.changes) {
    changes.push_back(wire::CreateLimitChange(b, change.job_id, static_cast<uint8_t>(change.kind),
                                              change.at_s, change.from_min, change.to_min));
  }
  const auto all_changes = b.CreateVector(changes);
  wire::GuardReportBuilder out(b);
  out.add_first(report.first);
  out.add_fault(fault);
  out.add_site(site);
  out.add_jobs(report.jobs);
  out.add_guarded(report.guarded);
  out.add_extended(report.extended);
  out.add_left_to_others(report.left_to_others);
  out.add_failed(report.failed);
  if (report.shortest_lead_s) out.add_shortest_lead_s(*report.shortest_lead_s);
  out.add_sweep_ms(report.sweep_ms);
  out.add_changes(all_changes);
  return out.Finish();
}

Result<GuardReport> get_guard_report(const wire::GuardReport& in) {
  GuardReport report;
  report.first = in.first();
  if (in.fault()) report.fault = in.fault()->str().substr(0, kMaxTextBytes);
  if (in.site()) {
    Result<Site> site = get(*in.site());
    if (!site) return site.error();
    report.site = std::move(*site);
  }
  report.jobs = in.jobs();
  report.guarded = in.guarded();
  report.extended = in.extended();
  report.left_to_others = in.left_to_others();
  report.failed = in.failed();
  if (const auto lead = in.shortest_lead_s()) report.shortest_lead_s = *lead;
  report.sweep_ms = std::isfinite(in.sweep_ms()) ? in.sweep_ms() : 0;
  if (in.changes() == nullptr) return report;
  if (in.changes()->size() > kMaxChanges) {
    return Error{std::to_string(in.changes()->size()) + " changes, at most " +
                 std::to_string(kMaxChanges)};
  }
  for (const auto* change : *in.changes()) {
    if (change->kind() >= kChangeKinds || !is_time(change->at_s())) {
      return Error{"a change of a kind or time that there is not"};
    }
    report.changes.push_back({change->job_id(), static_cast<ChangeKind>(change->kind()),
                              change->at_s(), change->from_min(), change->to_min()});
  }
  return report;
}

Offset<wire::SiteReply> put_site_reply(FlatBufferBuilder& b, const SiteReply& reply) {
  const auto fault = reply.site.guard_fault ? b.CreateString(*reply.site.guard_fault) : 0;
  return wire::CreateSiteReply(b, put(b, reply.site), fault);
}

Result<SiteReply> get_site_reply(const wire::SiteReply& in) {
  Result<Site> site = get(*in.site());
  if (!site) return site.error();
  if (in.guard_fault()) site->guard_fault = in.guard_fault()->str();
  return SiteReply{std::move(*site)};
}

}  // namespace auspex::ipc
