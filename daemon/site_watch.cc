// SPDX-License-Identifier: Apache-2.0
#include "daemon/site_watch.h"

#include <nlohmann/json.hpp>

namespace auspex {

SiteWatch::SiteWatch() {
  site_.guard_fault = "the guard has not reported yet";
}

void SiteWatch::take(const ipc::GuardReport& report, Clock::time_point now) {
  last_heard_ = now;
  if (report.site) site_ = *report.site;
  site_.guard_fault = report.fault;
  last_ = report;
  last_.site.reset();
}

const Site& SiteWatch::site(Clock::time_point now) {
  if (!site_.guard_fault && now - last_heard_ > kSilence) {
    site_.guard_fault =
        "the guard has been silent for " + std::to_string(kSilence.count()) + " seconds";
  }
  return site_;
}

nlohmann::json SiteWatch::status(Clock::time_point now) {
  const Site& site = this->site(now);
  const auto or_null = [](const auto& value) {
    return value ? nlohmann::json(*value) : nlohmann::json();
  };
  return {{"stands", !site.guard_fault}, {"fault", or_null(site.guard_fault)},
          {"jobs", last_.jobs},          {"guarded", last_.guarded},
          {"extended", last_.extended},  {"left_to_others", last_.left_to_others},
          {"failed", last_.failed},      {"shortest_lead_s", or_null(last_.shortest_lead_s)},
          {"sweep_ms", last_.sweep_ms}};
}

}  // namespace auspex
