// SPDX-License-Identifier: Apache-2.0
// The paper's network in libtorch, as one would serve it from C++.
#include <ATen/native/quantized/PackedParams.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <cctype>
#include <cmath>

#include "learn/bench_peers.h"
#include "shared/prediction.h"

namespace auspex {
namespace {

using torch::Tensor;

constexpr auto kFields = static_cast<int64_t>(kCategoryCount);
// More rows of a dense input than this are not kept: 16,384 would be 1.3 GB.
constexpr int64_t kMostDense = 4096, kLeastDense = 64;

// What all peers of one net share. Linear layers as libtorch has them: [outputs][inputs].
struct Weights {
  BenchNet net;
  Tensor bag;  // Shape: [rows][hidden[0]]
  Tensor numbers, numbers_bias;
  std::vector<Tensor> linear, bias;
  Tensor job_rows;     // Shape: [kPeerJobs][kCategoryCount] int64
  Tensor job_numbers;  // Shape: [kPeerJobs][kNumberCount]
};

Tensor random(int64_t outputs, int64_t inputs, double active) {
  return torch::randn({outputs, inputs}) / std::sqrt(active);
}

std::shared_ptr<const Weights> weights_of(const BenchNet& net) {
  static std::shared_ptr<const Weights> last;
  if (last && last->net == net) return last;
  last.reset();
  auto made = std::make_shared<Weights>();
  made->net = net;
  constexpr double kActive = kCategoryCount + kNumberCount;
  int64_t width = net.hidden.front();
  made->bag = random(net.rows, width, kActive);
  made->numbers = random(width, kNumberCount, kActive);
  made->numbers_bias = torch::randn({width}) * 0.1;
  for (size_t layer = 1; layer <= net.hidden.size(); ++layer) {
    const bool end = layer == net.hidden.size();
    const auto outputs = end ? static_cast<int64_t>(kOutputCount) : int64_t{net.hidden[layer]};
    made->linear.push_back(random(outputs, width, static_cast<double>(width) / 2));
    made->bias.push_back(torch::randn({outputs}) * 0.1);
    width = outputs;
  }
  const PeerInputs inputs = peer_inputs(net.rows);
  made->job_rows = torch::tensor(inputs.rows).view({kPeerJobs, -1});
  made->job_numbers = torch::tensor(inputs.numbers).view({kPeerJobs, -1});
  last = made;
  return last;
}

// What computes with INT8 in this build of libtorch; its weights are packed for one of them.
std::string engine_name(at::QEngine engine) {
  std::string name = c10::toString(engine);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

using PackedLinear = c10::intrusive_ptr<LinearPackedParamsBase>;

// Weights in INT8, inputs as they come. Errors: what libtorch throws.
PackedLinear packed(const Tensor& weight, const Tensor& bias) {
  static const auto prepack = c10::Dispatcher::singleton()
                                  .findSchemaOrThrow("quantized::linear_prepack", "")
                                  .typed<PackedLinear(Tensor, c10::optional<Tensor>)>();
  const double scale = weight.abs().max().item<double>() / 127;
  return prepack.call(torch::quantize_per_tensor(weight, scale, 0, torch::kQInt8), bias);
}

// What inputs they take, and where the next ones are.
class TorchPeer : public BenchPeer {
 public:
  Status build(const BenchNet& net) final {
    const torch::NoGradGuard no_grad;
    batch_ = 0;
    weights_ = weights_of(net);
    make();
    return Done{};
  }

  Status choose(uint32_t batch) override {
    const c10::InferenceMode inference;
    if (batch_ != batch) {
      offsets_ = torch::arange(0, int64_t{batch} * kFields, kFields);
      batch_ = batch;
    }
    next_ = next_ + 2 * int64_t{batch} > kPeerJobs ? 0 : next_ + batch;
    rows_ = weights_->job_rows.narrow(0, next_, batch).reshape({-1});
    numbers_ = weights_->job_numbers.narrow(0, next_, batch);
    return Done{};
  }

  void call() final {
    const c10::InferenceMode inference;
    outputs_ = forward();
  }

 protected:
  virtual void make() = 0;
  virtual Tensor forward() = 0;

  // The sum of a job's rows, and its numbers.
  Tensor first_layer() const {
    Tensor x = std::get<0>(torch::_embedding_bag_forward_only(weights_->bag, rows_, offsets_));
    return x.add_(torch::linear(numbers_, weights_->numbers, weights_->numbers_bias)).relu_();
  }
  // x: what ReLU left of the layer before.
  Tensor next_layers(Tensor x) const {
    const size_t last = weights_->linear.size() - 1;
    for (size_t layer = 0; layer <= last; ++layer) {
      x = torch::linear(x, weights_->linear[layer], weights_->bias[layer]);
      if (layer < last) x.relu_();
    }
    return x;
  }

  std::shared_ptr<const Weights> weights_;
  Tensor rows_, offsets_, numbers_, outputs_;
  int64_t next_ = 0;
  uint32_t batch_ = 0;
};

class Bag final : public TorchPeer {
 public:
  PeerLabel label() const override { return {"torch_embbag", "libtorch", "fp32", "gather"}; }

 private:
  void make() override {}
  Tensor forward() override { return next_layers(first_layer()); }
};

class ScriptedBag final : public TorchPeer {
 public:
  PeerLabel label() const override { return {"torch_embbag", "torchjit", "fp32", "gather"}; }

 private:
  void make() override {
    torch::jit::Module module("net");
    module.register_parameter("bag", weights_->bag, false);
    module.register_parameter("numbers", weights_->numbers, false);
    module.register_parameter("numbers_bias", weights_->numbers_bias, false);
    std::string text =
        "def forward(self, rows, offsets, numbers):\n"
        "    x, a, b, c = torch.embedding_bag(self.bag, rows, offsets, False, 0, False, None, "
        "False)\n"
        "    x = torch.relu(x + torch.linear(numbers, self.numbers, self.numbers_bias))\n";
    for (size_t layer = 0; layer < weights_->linear.size(); ++layer) {
      const std::string number = std::to_string(layer);
      module.register_parameter("w" + number, weights_->linear[layer], false);
      module.register_parameter("b" + number, weights_->bias[layer], false);
      const std::string linear = "torch.linear(x, self.w" + number + ", self.b" + number + ")";
      const bool last = layer + 1 == weights_->linear.size();
      text += last ? "    return " + linear + "\n" : "    x = torch.relu(" + linear + ")\n";
    }
    module.define(text);
    module.eval();
    module_ = torch::jit::freeze(module);
  }
  Tensor forward() override { return module_.forward({rows_, offsets_, numbers_}).toTensor(); }

  torch::jit::Module module_;
};

// Linear layers in INT8 with activations quantized as they come.
class DynamicLayers {
 public:
  void add(const Tensor& weight, const Tensor& bias) { layers_.push_back(packed(weight, bias)); }
  void clear() { layers_.clear(); }
  Tensor run(Tensor x) const {
    for (size_t layer = 0; layer < layers_.size(); ++layer) {
      const bool last = layer + 1 == layers_.size();
      x = last ? layers_[layer]->apply_dynamic(x) : layers_[layer]->apply_dynamic_relu(x);
    }
    return x;
  }

 private:
  std::vector<PackedLinear> layers_;
};

class DynamicBag final : public TorchPeer {
 public:
  explicit DynamicBag(at::QEngine engine) : engine_(engine) {}
  PeerLabel label() const override {
    return {"torch_embbag", engine_name(engine_), "int8", "gather"};
  }

 private:
  void make() override {
    at::globalContext().setQEngine(engine_);
    layers_.clear();
    for (size_t i = 0; i < weights_->linear.size(); ++i) {
      layers_.add(weights_->linear[i], weights_->bias[i]);
    }
  }
  Tensor forward() override { return layers_.run(first_layer()); }

  at::QEngine engine_;
  DynamicLayers layers_;
};

// The paper's setting: the one-hot rows as they are. Making them is outside of the time.
class Dense : public TorchPeer {
 public:
  Status choose(uint32_t batch) override {
    const c10::InferenceMode inference;
    if (batch > kMostDense) return Error{"no dense inputs of batch " + std::to_string(batch)};
    const int64_t kept = std::max<int64_t>(kLeastDense, batch);
    if (!dense_.defined() || dense_.size(0) < kept) {
      Tensor one_hot = torch::zeros({kept, int64_t{weights_->net.rows}});
      one_hot.scatter_(1, weights_->job_rows.narrow(0, 0, kept), 1);
      dense_ = torch::cat({one_hot, weights_->job_numbers.narrow(0, 0, kept)}, 1);
    }
    next_ = next_ + 2 * int64_t{batch} > dense_.size(0) ? 0 : next_ + batch;
    x_ = dense_.narrow(0, next_, batch);
    return Done{};
  }

 protected:
  Tensor first_weight() {
    dense_ = Tensor();
    next_ = 0;
    return torch::cat({weights_->bag.t(), weights_->numbers}, 1).contiguous();
  }
  Tensor dense_, x_;  // Shape: [jobs][rows + kNumberCount]
};

class Fp32Dense final : public Dense {
 public:
  PeerLabel label() const override { return {"torch_dense", "libtorch", "fp32", "dense"}; }

 private:
  void make() override { first_ = first_weight(); }
  Tensor forward() override {
    return next_layers(torch::linear(x_, first_, weights_->numbers_bias).relu_());
  }
  Tensor first_;
};

class DynamicDense final : public Dense {
 public:
  explicit DynamicDense(at::QEngine engine) : engine_(engine) {}
  PeerLabel label() const override {
    return {"torch_dense", engine_name(engine_), "int8", "dense"};
  }

 private:
  void make() override {
    at::globalContext().setQEngine(engine_);
    layers_.clear();
    layers_.add(first_weight(), weights_->numbers_bias);
    for (size_t i = 0; i < weights_->linear.size(); ++i) {
      layers_.add(weights_->linear[i], weights_->bias[i]);
    }
  }
  Tensor forward() override { return layers_.run(x_); }

  at::QEngine engine_;
  DynamicLayers layers_;
};

}  // namespace

BenchPeers torch_peers() {
  torch::set_num_threads(1);
  torch::manual_seed(7);
  BenchPeers peers;
  peers.push_back(std::make_unique<Bag>());
  peers.push_back(std::make_unique<ScriptedBag>());
  peers.push_back(std::make_unique<Fp32Dense>());
  for (const at::QEngine engine : at::globalContext().supportedQEngines()) {
    if (engine == at::QEngine::NoQEngine) continue;
    peers.push_back(std::make_unique<DynamicBag>(engine));
    peers.push_back(std::make_unique<DynamicDense>(engine));
  }
  return peers;
}

}  // namespace auspex
