// SPDX-License-Identifier: Apache-2.0
// What a decision costs: features, network, policy; the round trip; the whole gate in the plugin.
// Random weights: time does not depend on their values, beyond ReLU's share of zeroes.
#include <benchmark/benchmark.h>

#include "daemon/engine.h"
#include "plugin/gate.h"
#include "tests/fixtures/models.h"
#include "tests/fixtures/slurm_job.h"
#include "tests/fixtures/sockets.h"

namespace auspex {
namespace {

Submission typical_submission() {
  Submission s;
  s.user = "1000";
  s.group = "1000";
  s.account = "bio";
  s.partition = "cpu";
  s.qos = "normal";
  s.name = "align-sample-0042";
  s.work_dir = "/project/bio/alice/cohort7/run3";
  s.submit_line = "sbatch -p cpu -t 1-0 --mem-per-cpu=4000 -c 16 align.sh";
  s.argv = {"align.sh"};
  s.script = "#!/bin/bash\n#SBATCH -t 1-0\nmodule load bwa\nsrun bwa mem ref.fa reads.fq\n";
  s.submit_time_s = 1'700'000'000;
  s.time_limit_min = 1440;
  s.num_tasks = 1;
  s.cpus_per_task = 16;
  s.min_nodes = 1;
  s.memory_per_cpu_mib = 4000;
  return s;
}

// hidden: the paper's three blocks; about 19,800 inputs.
std::shared_ptr<const ModelFile> model_of(uint32_t hidden,
                                          const fixtures::TemporaryFolder& folder) {
  const auto content = fixtures::random_model({hidden, hidden / 2, hidden / 4}, 1414, 5);
  if (!write_model_file(folder / "m", content)) std::abort();
  return *ModelFile::open(folder / "m");
}

// Inputs change on every call, as they do in a controller.
std::vector<EncodedJob> varied_jobs(const ModelFile& model) {
  std::vector<EncodedJob> jobs;
  std::mt19937 random(3);
  for (int i = 0; i < 4096; ++i) {
    Features features;
    for (size_t field = 0; field < kCategoryCount; ++field) {
      features.category[field] =
          fixtures::category_hash(field, static_cast<uint32_t>(random() % 1414));
    }
    jobs.push_back(model.encode(features));
  }
  return jobs;
}

void network(benchmark::State& state, const char* name) {
  const auto backend = make_backend(name);
  if (!backend) {
    state.SkipWithError(backend.error().message.c_str());
    return;
  }
  const fixtures::TemporaryFolder folder;
  const auto model = model_of(static_cast<uint32_t>(state.range(0)), folder);
  const auto jobs = varied_jobs(*model);
  float outputs[kOutputCount];
  size_t next = 0;
  for (auto _ : state) {
    (*backend)->predict(*model, {&jobs[next], 1}, outputs);
    benchmark::DoNotOptimize(outputs);
    next = (next + 1) % jobs.size();
  }
}
BENCHMARK_CAPTURE(network, avx512, "fp32-avx512")->Arg(512)->Arg(1024);
BENCHMARK_CAPTURE(network, avx2, "fp32-avx2")->Arg(512)->Arg(1024);
BENCHMARK_CAPTURE(network, portable, "fp32-portable")->Arg(512)->Arg(1024);
BENCHMARK_CAPTURE(network, reference, "reference")->Arg(512);

void features(benchmark::State& state) {
  const Submission submission = typical_submission();
  for (auto _ : state) benchmark::DoNotOptimize(features_of(submission));
}
BENCHMARK(features);

Engine engine_of(const fixtures::TemporaryFolder& folder) {
  model_of(512, folder);
  Config config;
  config.mode = Mode::kGuarded;
  return {config, *RuntimePredictor::load(folder / "m")};
}

void whole_decision(benchmark::State& state) {
  const fixtures::TemporaryFolder folder;
  const Engine engine = engine_of(folder);
  const Submission submission = typical_submission();
  for (auto _ : state) benchmark::DoNotOptimize(engine.decide(submission));
}
BENCHMARK(whole_decision);

class Deciding final : public ipc::Service {
 public:
  explicit Deciding(const Engine& engine) : engine_(engine) {}
  ipc::DecideReply decide(const ipc::DecideRequest& request) override {
    return {engine_.decide(request.submission).edits, std::chrono::microseconds(100'000)};
  }
  ipc::EventsReply take(const ipc::EventsRequest&) override { return {}; }
  std::string status_json() override { return "{}"; }

 private:
  const Engine& engine_;
};

// job_submit as slurmctld sees it, with the daemon in another thread.
void gate_with_daemon(benchmark::State& state) {
  const fixtures::TemporaryFolder folder;
  const Engine engine = engine_of(folder);
  Deciding service(engine);
  const fixtures::RunningServer server(folder / "s", service);
  plugin::Gate gate(folder / "s");
  std::string script = typical_submission().script;
  for (auto _ : state) {
    fixtures::SlurmJob s;
    s.job.time_limit = 1440;
    fixtures::SlurmJob::set(s.job.script, script);
    gate.pass(&s.job, 0, &s.message);
  }
}
BENCHMARK(gate_with_daemon)->UseRealTime();

// The daemon is away: what a submission pays once the breaker is open.
void gate_with_open_breaker(benchmark::State& state) {
  plugin::Gate gate("/nonexistent/auspex.sock");
  fixtures::SlurmJob s;
  for (auto _ : state) gate.pass(&s.job, 0, &s.message);
}
BENCHMARK(gate_with_open_breaker)->UseRealTime();

}  // namespace
}  // namespace auspex

BENCHMARK_MAIN();
