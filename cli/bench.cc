// SPDX-License-Identifier: Apache-2.0
// auspex bench: how long a prediction takes here, on every backend, beside what others would take.
// It is figure 2 of Lelek et al. (2025) for this machine.
#include "cli/bench.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/bench_figure.h"
#include "cli/bench_model.h"
#include "cli/bench_own.h"
#include "cli/bench_peers.h"
#include "cli/bench_table.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "shared/file.h"
#include "shared/progress.h"

namespace auspex::cli {
namespace {

struct Options {
  Words hidden, backends, inputs, caches;
  std::vector<uint32_t> batches;
  std::string model, svg, onnxruntime;
  uint64_t trials = 1000;
  uint32_t threads = 1;
  double row_s = 0.3;
  bool all = false, no_peers = false, json = false;

  bool asked(const Words& words, const std::string& word) const {
    return words.empty() || std::ranges::find(words, word) != words.end();
  }
};

void declare(CLI::App& app, Options& options) {
  const auto several = [&](const std::string& name, auto& to, const std::string& what) {
    return app.add_option(name, to, what)->allow_extra_args(false);
  };
  several("--hidden", options.hidden,
          "widths of a network, 512,256,128; may be repeated (that and 1024,512,256)");
  app.add_option("--model", options.model, "a model file instead of random weights")
      ->excludes("--hidden");
  several("--batch", options.batches, "1 to 16384; may be repeated (the powers of 4, 1 cold)")
      ->check(CLI::Range(uint32_t{1}, static_cast<uint32_t>(kBenchJobs)));
  several("--backend", options.backends, "int8-vnni, vnni or int8; may be repeated (all)");
  several("--input", options.inputs, "gather or dense; may be repeated (both)")
      ->check(CLI::IsMember({"gather", "dense"}));
  several("--cache", options.caches, "warm or cold; may be repeated (both)")
      ->check(CLI::IsMember({"warm", "cold"}));
  app.add_option("--trials", options.trials, "calls of a row, cold ones at most 200")
      ->check(CLI::Range(uint64_t{1}, uint64_t{10'000'000}))
      ->capture_default_str();
  app.add_option("--threads", options.threads,
                 "that share a large batch; others' libraries use one")
      ->check(CLI::Range(1U, 1024U))
      ->capture_default_str();
  app.add_option("--row-seconds", options.row_s, "after these a row has fewer trials")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  app.add_flag("--all", options.all,
               "every power of 2, 64 cold as well, dense inputs on every backend");
  app.add_flag("--no-peers", options.no_peers, "without the libraries of others");
  app.add_option("--onnxruntime", options.onnxruntime, "its library, where the system has none");
  app.add_option("--svg", options.svg, "write a figure to this file");
  app.add_flag("--json", options.json, "print one JSON object");
}

// Errors: names the text and what it should be.
Result<std::vector<uint32_t>> parse_hidden(const std::string& text) {
  constexpr uint32_t kWidest = 8192;
  const Error wrong{"--hidden " + text + " is not a list of 1 to 8 widths from 1 to " +
                    std::to_string(kWidest) + ", as 512,256,128"};
  std::vector<uint32_t> widths;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (true) {
    uint32_t width = 0;
    const auto [stop, failure] = std::from_chars(at, end, width);
    if (failure != std::errc() || width < 1 || width > kWidest || widths.size() == 8) return wrong;
    widths.push_back(width);
    if (stop == end) return widths;
    if (*stop != ',') return wrong;
    at = stop + 1;
  }
}

Result<std::vector<std::vector<uint32_t>>> networks_of(const Options& options) {
  if (options.hidden.empty()) {
    return std::vector<std::vector<uint32_t>>{{512, 256, 128}, {1024, 512, 256}};
  }
  std::vector<std::vector<uint32_t>> networks;
  for (const std::string& text : options.hidden) {
    Result<std::vector<uint32_t>> hidden = parse_hidden(text);
    if (!hidden) return hidden.error();
    networks.push_back(std::move(*hidden));
  }
  return networks;
}

BenchPace pace_of(const Options& options) {
  BenchPace pace;
  pace.trials = options.trials;
  pace.row_s = options.row_s;
  std::set<uint32_t> batches(options.batches.begin(), options.batches.end());
  if (batches.empty()) {
    for (uint32_t batch = 1; batch <= kBenchJobs; batch *= options.all ? 2 : 4) {
      batches.insert(batch);
    }
  }
  if (options.asked(options.caches, "warm")) pace.batches = {batches.begin(), batches.end()};
  if (options.asked(options.caches, "cold")) {
    for (const uint32_t batch : options.all ? std::vector{1U, 64U} : std::vector{1U}) {
      if (batches.contains(batch)) pace.cold_batches.push_back(batch);
    }
  }
  return pace;
}

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), pace_(pace_of(options)) {
    if (options_.no_peers) return;
    auto started = PeerProcess::start(options_.onnxruntime);
    if (started) {
      peers_ = *started;
    } else {
      remark(started.error().message);
    }
  }

  // share: of all work that is done, before and after this model.
  Status measure(const std::shared_ptr<const ModelFile>& model, double share_before,
                 double share_after) {
    OwnChoice choice{options_.backends};
    choice.gather = options_.asked(options_.inputs, "gather");
    choice.dense = options_.asked(options_.inputs, "dense") && model->pointer() == nullptr;
    choice.every_dense = options_.all;
    choice.threads = options_.threads;
    Result<Contestants> contestants = own_contestants(model, choice);
    if (!contestants) return contestants.error();
    const std::vector<uint32_t> hidden = hidden_of(*model);
    const uint32_t rows = model->layers().front().inputs - model->dense_inputs();
    if (peers_ && model->pointer() == nullptr) add_peers(hidden, rows, *contestants);
    const auto step = [&](double share) {
      progress_.show(++turns_, share_before + (share_after - share_before) * share);
    };
    const auto tell = [this](const std::string& text) { remark(text); };
    for (BenchRow& row : take_turns(*contestants, hidden_text(hidden), pace_, step, tell)) {
      rows_.push_back(std::move(row));
    }
    return Done{};
  }

  // Each but once.
  void remark(const std::string& text) {
    if (said_.insert(text).second) remarks_.push_back("bench: " + text);
  }

  std::vector<BenchRow> rows_;
  Words remarks_;

 private:
  void add_peers(const std::vector<uint32_t>& hidden, uint32_t rows, Contestants& to) {
    const auto tell = [this](const std::string& text) { remark(text); };
    Result<Contestants> peers = peer_contestants(peers_, hidden, rows, tell);
    if (!peers) {
      if (!peers.error().message.empty()) remark(peers.error().message);
      peers_.reset();
      return;
    }
    for (auto& peer : *peers) {
      if (options_.asked(options_.inputs, peer->label().input)) to.push_back(std::move(peer));
    }
  }

  const Options& options_;
  BenchPace pace_;
  std::shared_ptr<PeerProcess> peers_;
  std::set<std::string> said_;
  uint64_t turns_ = 0;
  Progress progress_{"measuring", 0};
};

int run(const Options& options) {
  if (Status known = check_backends(options.backends); !known) {
    return fail("bench: " + known.error().message);
  }
  const Result<std::vector<std::vector<uint32_t>>> networks = networks_of(options);
  if (!networks) return fail("bench: " + networks.error().message);
  std::optional<ReplacingFile> figure;  // before minutes of work, not after them
  if (!options.svg.empty()) {
    Result<ReplacingFile> made = ReplacingFile::create(options.svg);
    if (!made) return fail("bench: " + made.error().message);
    figure.emplace(std::move(*made));
  }
  std::vector<BenchRow> rows;
  Words remarks;
  {
    Bench bench(options);
    const size_t models = options.model.empty() ? networks->size() : 1;
    for (size_t i = 0; i < models; ++i) {
      const auto model =
          options.model.empty() ? random_model((*networks)[i]) : ModelFile::open(options.model);
      if (!model) return fail("bench: " + model.error().message);
      const auto share = [&](size_t done) {
        return static_cast<double>(done) / static_cast<double>(models);
      };
      const Status measured = bench.measure(*model, share(i), share(i + 1));
      if (!measured) return fail("bench: " + measured.error().message);
    }
    rows = std::move(bench.rows_);
    remarks = std::move(bench.remarks_);
  }
  if (figure) {
    const std::string svg = bench_figure(rows);
    if (!write_at(figure->fd(), svg.data(), svg.size(), 0)) {
      return fail("bench: " + system_error(options.svg).message);
    }
    if (Status written = figure->replace(); !written) {
      return fail("bench: " + written.error().message);
    }
  }
  print_warnings(remarks);
  if (options.json) {
    print_json(bench_json(rows));
  } else {
    print_bench(rows);
  }
  return kDone;
}

}  // namespace

int bench(const Words& words) {
  Options options;
  CLI::App app(
      "How long a prediction takes here, on every backend, beside the libraries of others.\n"
      "Random inputs that change on every call, contestants in turn.",
      "auspex bench");
  declare(app, options);
  if (const auto code = parse_words(app, words)) return *code;
  return run(options);
}

}  // namespace auspex::cli
