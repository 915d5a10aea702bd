// SPDX-License-Identifier: Apache-2.0
#include "learn/bench_peers.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "learn/boosted_trees.h"
#include "learn/commands.h"
#include "shared/call_times.h"

namespace auspex {
namespace {

using nlohmann::json;

constexpr uint32_t kSeed = 7;

// 500 trees of depth 8 on 14 codes and 6 numbers: what XGBoost would be trained with on the same
// jobs. Their target is made up; time hangs on the trees' shape only.
class XgboostPeer final : public BenchPeer {
 public:
  PeerLabel label() const override { return {"xgboost", "capi", "fp32", "gather"}; }

  // The same trees whatever the net; they take seconds.
  Status build(const BenchNet&) override {
    if (trees_) return Done{};
    const std::vector<float> target = fill();
    BoostedOptions options;
    options.objective = BoostedObjective::kSquaredError;
    options.depth = 8;
    options.rounds = 500;
    options.threads = 1;
    Result<BoostedTrees> trees = BoostedTrees::fit({values_, kPeerJobs, kColumns}, target, options);
    if (!trees) return trees.error();
    trees_.emplace(std::move(*trees));
    return Done{};
  }

  Status choose(uint32_t batch) override {
    next_ = next_ + 2 * size_t{batch} > kPeerJobs ? 0 : next_ + batch;
    batch_ = batch;
    return Done{};
  }

  void call() override {
    const std::span<const float> values(values_.data() + next_ * kColumns, batch_ * kColumns);
    if (!trees_->predict_in_place({values, batch_, kColumns})) std::terminate();
  }

 private:
  static constexpr size_t kColumns = kCategoryCount + kNumberCount;

  // The targets of the values.
  std::vector<float> fill() {
    constexpr uint32_t kCodes = 1416;
    const PeerInputs inputs = peer_inputs(kCategoryCount * kCodes);
    std::mt19937 random(kSeed);
    std::normal_distribution<float> normal;
    std::vector<float> target;
    values_.clear();
    for (size_t job = 0; job < kPeerJobs; ++job) {
      float sum = 0;
      for (size_t field = 0; field < kCategoryCount; ++field) {
        const auto code = static_cast<float>(inputs.rows[job * kCategoryCount + field] % kCodes);
        values_.push_back(code);
        sum += std::sin(code * static_cast<float>(field + 1) * 0.01F);
      }
      for (size_t number = 0; number < kNumberCount; ++number) {
        values_.push_back(inputs.numbers[job * kNumberCount + number]);
        sum += values_.back() * (number % 2 == 0 ? 0.5F : -0.5F);
      }
      target.push_back(sum + normal(random));
    }
    return target;
  }

  std::optional<BoostedTrees> trees_;
  std::vector<float> values_;  // Shape: [kPeerJobs][kColumns]
  size_t next_ = 0, batch_ = 0;
};

class Peers {
 public:
  explicit Peers(BenchPeers peers) : peers_(std::move(peers)), nets_(peers_.size()) {}

  json labels() const {
    json all = json::array();
    for (const auto& peer : peers_) {
      const PeerLabel label = peer->label();
      all.push_back({{"technique", label.technique},
                     {"backend", label.backend},
                     {"precision", label.precision},
                     {"input", label.input}});
    }
    return all;
  }

  // Errors: what is wrong with the request, or what the peer cannot do.
  Result<std::vector<double>> run(const json& request) {
    const auto index = request.at("peer").get<size_t>();
    if (index >= peers_.size()) return Error{"there is no peer " + std::to_string(index)};
    BenchPeer& peer = *peers_[index];
    const BenchNet net{request.at("hidden"), request.at("rows")};
    if (net != nets_[index]) {
      if (Status built = peer.build(net); !built) return built.error();
      nets_[index] = net;
    }
    CallRound round;
    round.batch = request.at("batch");
    round.cold = request.at("cache") == "cold";
    round.trials = request.at("trials");
    round.seconds = request.at("seconds");
    if (round.batch < 1 || round.batch > kPeerJobs) {
      return Error{"no batch of " + std::to_string(round.batch)};
    }
    if (Status chosen = peer.choose(round.batch); !chosen) return chosen.error();
    return call_times(
        round, [&] { (void)peer.choose(round.batch); }, [&] { peer.call(); });
  }

 private:
  BenchPeers peers_;
  std::vector<BenchNet> nets_;
};

}  // namespace

PeerInputs peer_inputs(uint32_t rows) {
  std::mt19937 random(kSeed);
  std::normal_distribution<float> normal;
  PeerInputs inputs;
  const uint32_t part = std::max<uint32_t>(rows / kCategoryCount, 1);
  for (uint32_t job = 0; job < kPeerJobs; ++job) {
    for (uint32_t field = 0; field < kCategoryCount; ++field) {
      const auto row = static_cast<uint32_t>(field * part + random() % part);
      inputs.rows.push_back(std::min(row, rows - 1));
    }
    for (size_t number = 0; number < kNumberCount; ++number) {
      inputs.numbers.push_back(normal(random));
    }
  }
  return inputs;
}

// argv: the command's name; what --onnxruntime said, if it did.
int bench_peers_command(int argc, char** argv) {
  BenchPeers all = torch_peers();
  all.push_back(std::make_unique<XgboostPeer>());
  json missing = json::array();
  Result<BenchPeers> onnx = onnx_peers(argc > 1 ? argv[1] : "");
  if (onnx) {
    for (auto& peer : *onnx) all.push_back(std::move(peer));
  } else {
    missing.push_back(onnx.error().message);
  }
  Peers peers(std::move(all));
  std::string line;
  while (std::getline(std::cin, line)) {
    json answer;
    try {
      const json request = json::parse(line);
      if (request.contains("ask")) {
        answer = {{"peers", peers.labels()}, {"missing", missing}};
      } else {
        const Result<std::vector<double>> times_us = peers.run(request);
        answer = times_us ? json{{"us", *times_us}} : json{{"error", times_us.error().message}};
      }
    } catch (const std::exception& failure) {  // of JSON, and of libtorch
      const std::string why = failure.what();
      answer = {{"error", why.substr(0, why.find('\n'))}};
    }
    std::cout << answer.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
  }
  return 0;
}

}  // namespace auspex
