// SPDX-License-Identifier: Apache-2.0
// submit_jobs --count N [--threads T] [--held] [--name NAME] [--time MIN] [--script FILE]
//             [--partition P] [--account A]
// Submits N batch jobs through Slurm's C API to the cluster of SLURM_CONF and prints one JSON
// object: submitted, failed, seconds, ids, first_error.
#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Options {
  int count = 1;
  int threads = 1;
  bool held = false;
  std::string name = "submit-jobs";
  std::string script = "#!/bin/sh\ntrue\n";
  std::string partition, account;
  uint32_t time_min = 60;
};

struct Tally {
  std::mutex mutex;
  std::vector<uint32_t> ids;
  int failed = 0;
  std::string first_error;
};

[[noreturn]] void usage(const char* problem) {
  std::fprintf(stderr, "submit_jobs: %s\n", problem);
  std::exit(2);
}

std::string read_file(const char* path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) usage("cannot read the script");
  return {std::istreambuf_iterator<char>(in), {}};
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string key = argv[i];
    if (key == "--held") {
      options.held = true;
      continue;
    }
    if (i + 1 == argc) usage("an option without its value");
    const char* value = argv[++i];
    if (key == "--count")
      options.count = std::atoi(value);
    else if (key == "--threads")
      options.threads = std::atoi(value);
    else if (key == "--name")
      options.name = value;
    else if (key == "--time")
      options.time_min = static_cast<uint32_t>(std::atoi(value));
    else if (key == "--script")
      options.script = read_file(value);
    else if (key == "--partition")
      options.partition = value;
    else if (key == "--account")
      options.account = value;
    else
      usage("unknown option");
  }
  return options;
}

void submit_one(const Options& options, Tally& tally) {
  char path[] = "PATH=/usr/bin:/bin";
  char work_dir[] = "/tmp";
  char output[] = "/dev/null";
  char* environment[] = {path};
  job_desc_msg_t job;
  slurm_init_job_desc_msg(&job);
  job.name = const_cast<char*>(options.name.c_str());
  job.script = const_cast<char*>(options.script.c_str());
  job.time_limit = options.time_min;
  job.user_id = getuid();
  job.group_id = getgid();
  job.environment = environment;
  job.env_size = 1;
  job.work_dir = work_dir;
  job.std_out = output;
  job.min_nodes = 1;
  if (options.held) job.priority = 0;
  if (!options.partition.empty()) job.partition = const_cast<char*>(options.partition.c_str());
  if (!options.account.empty()) job.account = const_cast<char*>(options.account.c_str());

  submit_response_msg_t* response = nullptr;
  const int status = slurm_submit_batch_job(&job, &response);
  const int error_number = errno;
  const std::lock_guard lock(tally.mutex);
  if (status == SLURM_SUCCESS && response != nullptr) {
    tally.ids.push_back(response->job_id);
  } else {
    ++tally.failed;
    if (tally.first_error.empty()) tally.first_error = slurm_strerror(error_number);
  }
  if (response != nullptr) slurm_free_submit_response_response_msg(response);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  slurm_init(nullptr);
  Tally tally;
  std::atomic<int> next{0};
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < options.threads; ++t) {
    threads.emplace_back([&] {
      while (next.fetch_add(1) < options.count) submit_one(options, tally);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const nlohmann::json result = {{"submitted", tally.ids.size()},
                                 {"failed", tally.failed},
                                 {"seconds", seconds},
                                 {"ids", tally.ids},
                                 {"first_error", tally.first_error}};
  std::printf("%s\n", result.dump().c_str());
  return tally.failed == 0 ? 0 : 1;
}
