// SPDX-License-Identifier: Apache-2.0
// The hooks that slurmctld calls, and nothing else: no logic lives here.
//
// A failing init, a missing symbol or an exception that leaves a hook takes slurmctld down, with
// it the jobs just submitted. So init always succeeds, job_submit always returns SLURM_SUCCESS,
// and each hook catches everything.
#include <atomic>
#include <memory>

#include "plugin/gate.h"
#include "plugin/slurm_symbols.h"

namespace {

// Set by init, cleared by fini; slurmctld calls neither while a job_submit is under way.
std::atomic<auspex::plugin::Gate*> g_gate{nullptr};

template <class Body>
int guarded(Body&& body) noexcept {
  try {
    body();
  } catch (...) {
    // The submission stays as it is: that is the whole error handling a controller needs.
  }
  return SLURM_SUCCESS;
}

}  // namespace

#define AUSPEX_EXPORT extern "C" __attribute__((visibility("default")))

// Outside of an extern "C" block: a const inside one would not be exported.
AUSPEX_EXPORT const char plugin_name[] = "Auspex: predicted time limits";
AUSPEX_EXPORT const char plugin_type[] = "job_submit/auspex";
AUSPEX_EXPORT const uint32_t plugin_version = SLURM_VERSION_NUMBER;

AUSPEX_EXPORT int init() {
  return guarded([] { g_gate.store(auspex::plugin::Gate::open_from_environment().release()); });
}

AUSPEX_EXPORT int fini() {
  return guarded([] { delete g_gate.exchange(nullptr); });
}

AUSPEX_EXPORT int job_submit(job_desc_msg_t* job, uint32_t submit_uid, char** err_msg) {
  return guarded([=] {
    if (auto* gate = g_gate.load(std::memory_order_acquire)) gate->pass(job, submit_uid, err_msg);
  });
}

// Nobody is asked here: it runs under slurmctld's job write lock, and the daemon's own updates
// come back through it.
#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(23, 2, 0)
AUSPEX_EXPORT int job_modify(job_desc_msg_t*, job_record*, uint32_t, char**) {
  return SLURM_SUCCESS;
}
#else
AUSPEX_EXPORT int job_modify(job_desc_msg_t*, job_record*, uint32_t) {
  return SLURM_SUCCESS;
}
#endif
