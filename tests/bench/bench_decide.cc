// SPDX-License-Identifier: Apache-2.0
// What a decision costs: features, network, policy; the round trip; the whole gate in the plugin;
// with the paper's network, and with the pointer network over the history of a million jobs.
// Random weights: time does not depend on their values, beyond ReLU's share of zeroes.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "daemon/engine.h"
#include "plugin/gate.h"
#include "shared/policy.h"
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
  for (int i = 0; i < 16'384; ++i) {
    Features features;
    for (size_t field = 0; field < kCategoryCount; ++field) {
      features.category[field] =
          fixtures::category_hash(field, static_cast<uint32_t>(random() % 1414));
    }
    jobs.push_back(model.encode(features));
  }
  return jobs;
}

// hidden, batch
void network(benchmark::State& state, const Plan& plan) {
  const fixtures::TemporaryFolder folder;
  const auto model = model_of(static_cast<uint32_t>(state.range(0)), folder);
  const auto network = load_network(model, plan);
  if (!network) {
    state.SkipWithError(network.error().message.c_str());
    return;
  }
  const auto batch = static_cast<size_t>(state.range(1));
  const auto jobs = varied_jobs(*model);
  std::vector<float> outputs(batch * kOutputCount);
  size_t next = 0;
  for (auto _ : state) {
    (*network)->predict({&jobs[next], batch}, outputs.data());
    benchmark::DoNotOptimize(outputs.data());
    next = (next + batch) % jobs.size();
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
}
// By hand, where the whole of `auspex bench` is too much.
BENCHMARK_CAPTURE(network, fp32, Plan{"fp32-avx512"})->ArgsProduct({{512, 1024}, {1, 4096}});
BENCHMARK_CAPTURE(network, bf16, Plan{"bf16-avx512"})->ArgsProduct({{512, 1024}, {1, 4096}});
BENCHMARK_CAPTURE(network, int8, Plan{"int8-vnni"})->ArgsProduct({{512, 1024}, {1, 4096}});
BENCHMARK_CAPTURE(network, int8_all_rows, Plan{"int8-vnni", false})
    ->ArgsProduct({{512, 1024}, {1}});
BENCHMARK_CAPTURE(network, int4, Plan{"int4-vnni"})->ArgsProduct({{512, 1024}, {1, 4096}});
BENCHMARK_CAPTURE(network, int4_all_rows, Plan{"int4-vnni", false})
    ->ArgsProduct({{512, 1024}, {1}});
BENCHMARK_CAPTURE(network, pairs, Plan{"int8-2:4-vnni"})->ArgsProduct({{512, 1024}, {1, 4096}});
BENCHMARK_CAPTURE(network, reference, Plan{"reference"})->Args({512, 1});

void features(benchmark::State& state) {
  const Submission submission = typical_submission();
  for (auto _ : state) benchmark::DoNotOptimize(features_of(submission));
}
BENCHMARK(features);

double quantile_us(std::vector<double>& calls_us, double level) {
  const auto place = static_cast<std::ptrdiff_t>(level * static_cast<double>(calls_us.size() - 1));
  std::nth_element(calls_us.begin(), calls_us.begin() + place, calls_us.end());
  return calls_us[static_cast<size_t>(place)];
}

// Values to rows. Cold: between two calls other memory is written, as a scheduler writes its own.
void encode(benchmark::State& state, bool cold) {
  const fixtures::TemporaryFolder folder;
  const auto model = model_of(512, folder);
  std::vector<uint64_t> other(cold ? (96 << 20) / sizeof(uint64_t) : 0);
  std::mt19937 random(3);
  std::vector<double> calls_us;
  for (auto _ : state) {
    for (uint64_t& word : other) ++word;
    benchmark::ClobberMemory();
    Features features;
    for (size_t field = 0; field < kCategoryCount; ++field) {
      features.category[field] =
          fixtures::category_hash(field, static_cast<uint32_t>(random() % 1414));
    }
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(model->encode(features));
    const std::chrono::duration<double, std::micro> call = std::chrono::steady_clock::now() - start;
    calls_us.push_back(call.count());
    state.SetIterationTime(call.count() * 1e-6);
  }
  state.counters["p50_us"] = quantile_us(calls_us, .50);
}
BENCHMARK_CAPTURE(encode, warm, false)->UseManualTime();
BENCHMARK_CAPTURE(encode, cold, true)->UseManualTime()->Iterations(500);

Engine engine_of(const ModelContent& content) {
  Config config;
  config.mode = Mode::kGuarded;
  return {config, *RuntimePredictor::with(*ModelFile::of(content))};
}

Engine paper_engine() {
  return engine_of(fixtures::random_model({512, 256, 128}, 1414, 5));
}
Engine pointer_engine(Precision precision = Precision::kFp32) {
  ModelContent content = fixtures::random_pointer_model({256, 128}, 32, 1414, 5);
  content.precisions = precisions_of(precision, content.layers.size());
  return engine_of(content);
}

// One of 2,000 users' submissions, a different one each time.
Submission submission_of(uint64_t number) {
  Submission s = typical_submission();
  s.user = std::to_string(1000 + number * 7919 % 2000);
  s.name = "align-" + std::to_string(number * 104729 % 5);
  s.time_limit_min = 60 + 60 * static_cast<uint32_t>(number % 3);
  s.submit_time_s += static_cast<int64_t>(10 * number);
  return s;
}

constexpr uint64_t kPastJobs = 1'000'000;

// What a daemon knows after so many jobs; a hundred are in flight.
const JobHistory& million_jobs() {
  static const JobHistory history = [] {
    JobHistory made;
    for (uint64_t number = 0; number < kPastJobs; ++number) {
      made.submitted(history_request_of(submission_of(number)), CalibratedLogs{7, 8, 9});
      if (number < 100) continue;
      const HistoryRequest past = history_request_of(submission_of(number - 100));
      made.ended(past, 0, past.submit_s + 900, 100 + static_cast<double>(number * 31 % 3000),
                 Ending::kDone);
    }
    return made;
  }();
  return history;
}

const JobHistory& no_jobs() {
  static const JobHistory history;
  return history;
}

void whole_decision(benchmark::State& state, const Engine& engine, const JobHistory& history) {
  std::vector<Submission> submissions;
  for (uint64_t i = 0; i < 4096; ++i) submissions.push_back(submission_of(kPastJobs + i));
  size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(engine.decide(submissions[next], &history));
    next = (next + 1) % submissions.size();
  }
}
BENCHMARK_CAPTURE(whole_decision, paper, paper_engine(), no_jobs());
BENCHMARK_CAPTURE(whole_decision, pointer, pointer_engine(), million_jobs());
BENCHMARK_CAPTURE(whole_decision, pointer_int8, pointer_engine(Precision::kInt8), million_jobs());

// A job whose model is known, alone what follows from its words: no network. lines: of the script's
// head.
void slice_decision(benchmark::State& state) {
  Submission s = typical_submission();
  s.partition = "gpu";
  s.tres_per_node = "gres:gpu:1";
  s.script = "#!/bin/bash\n";
  for (int64_t line = 2; line < state.range(0); ++line) {
    s.script += "#SBATCH --output=/project/bio/alice/cohort7/run3/%x-%j.out\n";
  }
  s.script += "#AUSPEX model=resnet50.onnx batch=32 mode=training format=tf32\nsrun train.sh\n";
  Config config;
  config.mode = Mode::kGuarded;
  config.mig.mode = MigMode::kApply;
  config.mig.model_dirs = {"/project"};
  config.mig.partitions = {{"gpu", "a100-40gb"}};
  Site site;
  site.partitions = {{"gpu", 1440, {}, true, {"1g.5gb", "2g.10gb", "3g.20gb", "7g.40gb"}}};
  const ModelAnswer answer = {ModelNeed{4600, 6200, 10, 1, {70, 70, 35, 24, 18, 10}}, ""};
  for (auto _ : state) {
    Terms terms = terms_of(s, config, site);
    terms.slice.answer = &answer;
    benchmark::DoNotOptimize(decide(s, terms, nullptr, config, site));
  }
}
BENCHMARK(slice_decision)->Arg(8)->Arg(64)->Arg(400);

void cold_decision(benchmark::State& state, const Engine& engine, const JobHistory& history) {
  std::vector<uint64_t> other((96 << 20) / sizeof(uint64_t));
  std::vector<double> calls_us;
  uint64_t number = kPastJobs;
  for (auto _ : state) {
    const Submission submission = submission_of(++number);
    for (uint64_t& word : other) ++word;
    benchmark::ClobberMemory();
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(engine.decide(submission, &history));
    const std::chrono::duration<double, std::micro> call = std::chrono::steady_clock::now() - start;
    calls_us.push_back(call.count());
    state.SetIterationTime(call.count() * 1e-6);
  }
  state.counters["p50_us"] = quantile_us(calls_us, .50);
}
BENCHMARK_CAPTURE(cold_decision, pointer_int8, pointer_engine(Precision::kInt8), million_jobs())
    ->UseManualTime()
    ->Iterations(300);

// The parts of the pointer network's decision.
void view(benchmark::State& state) {
  const JobHistory& history = million_jobs();
  HistoryView view;
  uint64_t number = kPastJobs;
  std::vector<HistoryRequest> requests;
  for (uint64_t i = 0; i < 4096; ++i)
    requests.push_back(history_request_of(submission_of(++number)));
  size_t next = 0;
  for (auto _ : state) {
    history.view(requests[next], requests[next].submit_s, view);
    benchmark::DoNotOptimize(view);
    next = (next + 1) % requests.size();
  }
}
BENCHMARK(view);

struct PointerParts {
  std::shared_ptr<const ModelFile> model =
      *ModelFile::of(fixtures::random_pointer_model({256, 128}, 32, 1414, 5));
  std::shared_ptr<const Network> network;
  EncodedJob job;
  HistoryView view;
  Mixture mixture;

  explicit PointerParts(const char* backend) : network(load_network(model, backend).value()) {
    const HistoryRequest request = history_request_of(submission_of(kPastJobs));
    million_jobs().view(request, request.submit_s, view);
    job = model->encode(request.features);
    mix();
  }
  void mix() { network->mix({&job, &view}, mixture); }
};

void mix(benchmark::State& state, const char* backend) {
  PointerParts parts(backend);
  for (auto _ : state) parts.mix();
  benchmark::DoNotOptimize(parts.mixture);
}
BENCHMARK_CAPTURE(mix, fp32, "auto");
BENCHMARK_CAPTURE(mix, int8_vnni, "int8-vnni");

void points(benchmark::State& state) {
  PointerParts parts("auto");
  for (auto _ : state) benchmark::DoNotOptimize(parts.network->points(parts.mixture));
}
BENCHMARK(points);

class Deciding final : public ipc::Service {
 public:
  Deciding(const Engine& engine, const JobHistory& history) : engine_(engine), history_(history) {}
  // Whatever is asked for, what is decided is a submission with a past.
  ipc::DecideReply decide(const ipc::DecideRequest&) override {
    return {engine_.decide(submission_of(++number_), &history_).edits,
            std::chrono::microseconds(100'000)};
  }
  ipc::EventsReply take(const ipc::EventsRequest&) override { return {}; }
  ipc::GuardReply take(const ipc::GuardReport&) override { return {}; }
  ipc::LookReply look(const ipc::LookRequest&) override { return {}; }
  ipc::SiteReply site() override { return {}; }
  std::string status_json() override { return "{}"; }

 private:
  const Engine& engine_;
  const JobHistory& history_;
  uint64_t number_ = kPastJobs;
};

// job_submit as slurmctld sees it, with the daemon in another thread.
void gate_with_daemon(benchmark::State& state, const Engine& engine, const JobHistory& history) {
  const fixtures::TemporaryFolder folder;
  Deciding service(engine, history);
  const fixtures::RunningServer server(folder / "s", service);
  plugin::Gate gate(folder / "s");
  std::string script = typical_submission().script;
  std::vector<double> calls_us;
  for (auto _ : state) {
    fixtures::SlurmJob s;
    s.job.time_limit = 1440;
    fixtures::SlurmJob::set(s.job.script, script);
    const auto start = std::chrono::steady_clock::now();
    gate.pass(&s.job, 0, &s.message);
    const std::chrono::duration<double, std::micro> call = std::chrono::steady_clock::now() - start;
    calls_us.push_back(call.count());
    state.SetIterationTime(call.count() * 1e-6);
  }
  state.counters["p50_us"] = quantile_us(calls_us, .50);
  state.counters["p99_us"] = quantile_us(calls_us, .99);
}
BENCHMARK_CAPTURE(gate_with_daemon, paper, paper_engine(), no_jobs())->UseManualTime();
BENCHMARK_CAPTURE(gate_with_daemon, pointer, pointer_engine(), million_jobs())->UseManualTime();

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
