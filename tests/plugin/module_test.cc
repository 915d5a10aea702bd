// SPDX-License-Identifier: Apache-2.0
// The built .so, loaded as slurmctld loads it.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "plugin/slurm_symbols.h"
#include "tests/fixtures/slurm_job.h"

namespace {

using JobSubmit = int (*)(job_desc_msg_t*, uint32_t, char**);

struct Module {
  void* handle = ::dlopen(AUSPEX_MODULE, RTLD_NOW | RTLD_LOCAL);
  ~Module() {
    if (handle != nullptr) ::dlclose(handle);
  }
  template <class T>
  T symbol(const char* name) const {
    return reinterpret_cast<T>(::dlsym(handle, name));
  }
};

TEST(Module, HasWhatSlurmLooksUp) {
  const Module module;
  ASSERT_NE(module.handle, nullptr) << ::dlerror();
  EXPECT_STREQ(module.symbol<const char*>("plugin_type"), "job_submit/auspex");
  EXPECT_NE(module.symbol<const char*>("plugin_name"), nullptr);
  EXPECT_EQ(*module.symbol<const uint32_t*>("plugin_version"),
            static_cast<uint32_t>(SLURM_VERSION_NUMBER));
  for (const char* name : {"init", "fini", "job_submit", "job_modify"}) {
    EXPECT_NE(module.symbol<void*>(name), nullptr) << name;
  }
}

TEST(Module, ExportsNothingElse) {
  const Module module;
  ASSERT_NE(module.handle, nullptr) << ::dlerror();
  const std::string command = std::string("nm -D --defined-only ") + AUSPEX_MODULE + " | wc -l";
  FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  int exported = 0;
  EXPECT_EQ(std::fscanf(pipe, "%d", &exported), 1);
  ::pclose(pipe);
  EXPECT_EQ(exported, 7);
}

TEST(Module, SucceedsWhateverIsMissing) {
  ASSERT_EQ(::setenv("AUSPEX_SOCKET", "/nonexistent/auspex.sock", 1), 0);
  const Module module;
  ASSERT_NE(module.handle, nullptr) << ::dlerror();
  const auto job_submit = module.symbol<JobSubmit>("job_submit");
  const auto init = module.symbol<int (*)()>("init");
  const auto fini = module.symbol<int (*)()>("fini");
  auspex::fixtures::SlurmJob s;
  EXPECT_EQ(job_submit(&s.job, 0, &s.message), SLURM_SUCCESS) << "before init";
  for (int life = 0; life < 3; ++life) {
    EXPECT_EQ(init(), SLURM_SUCCESS);
    EXPECT_EQ(job_submit(&s.job, 0, &s.message), SLURM_SUCCESS);
    EXPECT_EQ(job_submit(nullptr, 0, nullptr), SLURM_SUCCESS);
    EXPECT_EQ(fini(), SLURM_SUCCESS);
  }
  EXPECT_EQ(job_submit(&s.job, 0, &s.message), SLURM_SUCCESS) << "after fini";
  EXPECT_EQ(s.job.time_limit, NO_VAL);
  EXPECT_EQ(s.message, nullptr);
}

}  // namespace
