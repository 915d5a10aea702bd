// SPDX-License-Identifier: Apache-2.0
#include "learn/pointer_trainer.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "learn/average_weights.h"
#include "learn/learning_rate.h"
#include "learn/pointer_network.h"
#include "learn/torch_error.h"
#include "shared/mixture.h"

namespace auspex {
namespace {

// Source: our choice, on inner splits of the first 70 % of HPC2N, SDSC-BLUE, CEA-Curie and Cedar.
constexpr int64_t kFirstWidth = 256, kSecondWidth = 128, kItemWidth = 32;
constexpr auto kTrunkNumbers = static_cast<uint32_t>(kNumberCount + kHistoryNumbers);
constexpr double kWeightDecay = 0.01, kMaxGradient = 5;
// How much of its input the trunk does without in training, or it learns single users and the drift
// of their history by heart. Together with kDropout of the network and two epochs, against ids at
// .3, nothing else and one epoch: Cedar .450 and 4.35 h against .423 and 4.40 h (two seeds),
// SDSC-BLUE and CEA-Curie within .001 (at half of both), HPC2N .681 against .684.
constexpr double kIdDropout = 0.5, kNumberDropout = 0.2;
// About the last fifty steps: what one batch taught and the next one forgot evens out.
constexpr double kAverageDecay = 0.98;

// Rows of an example set as torch tensors over its own memory.
class View {
 public:
  explicit View(const Examples& e)
      : rows_(blob(e.rows, {size(e), fields(e)}, torch::kInt32)),
        numbers_(blob(e.numbers, {size(e), kNumbers}, torch::kFloat32)),
        log_s_(blob(e.log_s, {size(e), kItems}, torch::kFloat32)),
        items_(blob(e.items, {size(e), kItems, kItemInputs}, torch::kFloat16)),
        log_limit_(blob(e.log_limit, {size(e)}, torch::kFloat32)),
        log_runtime_(blob(e.log_runtime, {size(e)}, torch::kFloat32)),
        censored_(blob(e.censored, {size(e)}, torch::kBool)) {}

  // Shape: picked [jobs] int64
  PointerBatch pick(const torch::Tensor& picked) const {
    const auto of = [&picked](const torch::Tensor& all) { return all.index_select(0, picked); };
    return {of(rows_).to(torch::kInt64),
            of(numbers_),
            of(log_s_),
            of(items_).to(torch::kFloat32),
            of(log_limit_),
            of(log_runtime_),
            of(censored_)};
  }

 private:
  static constexpr auto kNumbers = static_cast<int64_t>(kNumberCount + kHistoryNumbers);
  static int64_t size(const Examples& e) { return static_cast<int64_t>(e.size()); }
  static int64_t fields(const Examples& e) { return static_cast<int64_t>(e.fields()); }
  template <typename T>
  static torch::Tensor blob(const std::vector<T>& values, at::IntArrayRef shape,
                            torch::ScalarType type) {
    return torch::from_blob(const_cast<T*>(values.data()), shape, type);
  }

  torch::Tensor rows_, numbers_, log_s_, items_, log_limit_, log_runtime_, censored_;
};

template <typename Index>
torch::Tensor indices(const Index* begin, const Index* end) {
  return torch::tensor(std::vector<int64_t>(begin, end), torch::kInt64);
}

}  // namespace

class PointerTrainer::Work {
 public:
  Work(const Vocabulary& vocabulary, const PointerOptions& options)
      : options_(seeded(options)),
        network_(vocabulary.row_count(), kFirstWidth, kSecondWidth, kItemWidth),
        average_(*network_, kAverageDecay),
        optimizer_(network_->parameters(),
                   torch::optim::AdamWOptions(options.refine_rate).weight_decay(kWeightDecay)),
        random_(options.seed) {
    const std::vector<uint32_t> unknown = vocabulary.unknown_rows();
    unknown_rows_ = indices(unknown.data(), unknown.data() + unknown.size());
  }

  void take_over(const ModelContent& content) {
    network_->take_over(content);
    average_ = AverageWeights(*network_, kAverageDecay);
  }

  void describe(ModelContent& content) {
    average_.swap();
    network_->describe(content);
    average_.swap();
  }

  Status fit(const Examples& examples,
             const std::function<void(const PointerProgress&)>& progress) {
    return pass_over(examples, progress,
                     [this](PointerBatch batch) { return learn(std::move(batch)); });
  }

  Status imitate(const Examples& examples,
                 const std::function<void(const PointerProgress&)>& progress) {
    ModelContent content;
    network_->describe(content);
    PointerNetwork exact(content.layers.front().inputs - kTrunkNumbers, kFirstWidth, kSecondWidth,
                         kItemWidth);
    exact->take_over(content);
    exact->eval();
    network_->eval();  // what is imitated was said without dropout
    torch::manual_seed(options_.seed);
    return pass_over(examples, progress, [&](PointerBatch batch) {
      hide_some(batch);
      const PointerMixture wanted = [&] {
        torch::NoGradGuard no_grad;
        return exact->forward(batch);
      }();
      return step_down(imitation_loss(network_->forward(batch), wanted));
    });
  }

  Status refine(const Examples& examples, std::vector<uint32_t> picked) {
    const View view(examples);
    std::shuffle(picked.begin(), picked.end(), random_);
    // Batches of about equal size: a last one of three jobs would undo what the others learned.
    const size_t batches =
        std::max<size_t>((picked.size() + options_.batch / 2) / options_.batch, 1);
    for (size_t batch = 0; batch < batches; ++batch) {
      const size_t begin = batch * picked.size() / batches;
      const size_t end = (batch + 1) * picked.size() / batches;
      if (!std::isfinite(learn(view.pick(indices(&picked[begin], picked.data() + end))))) {
        return not_finite(0);
      }
    }
    return Done{};
  }

  void mix(const Examples& examples, uint32_t place, Mixture& out) {
    torch::NoGradGuard no_grad;
    average_.swap();
    network_->eval();
    const PointerBatch batch = View(examples).pick(indices(&place, &place + 1));
    const PointerMixture said = network_->forward(batch);
    average_.swap();
    const torch::Tensor weight = said.log_weight.exp();
    const torch::Tensor absent = torch::isnan(batch.log_s);
    out.items = 0;
    for (size_t i = 0; i < kItems + kBins; ++i) {
      const auto at = static_cast<int64_t>(i);
      if (i >= kItems) out.bin_weight[i - kItems] = weight[0][at].item<float>();
      if (i >= kItems || absent[0][at].item<bool>()) continue;
      out.weight[out.items] = weight[0][at].item<float>();
      out.log_s[out.items] = said.place[0][at].item<float>();
      out.scale[out.items++] = said.scale[0][at].item<float>();
    }
    out.log_limit_s = examples.log_limit[place];
  }

  double loss(const Examples& examples, const std::vector<uint32_t>& picked) {
    torch::NoGradGuard no_grad;
    average_.swap();
    network_->eval();
    const View view(examples);
    constexpr size_t kBlock = 2048;  // bounds the memory
    double sum = 0;
    for (size_t begin = 0; begin < picked.size(); begin += kBlock) {
      const size_t end = std::min(begin + kBlock, picked.size());
      const PointerBatch batch = view.pick(indices(&picked[begin], picked.data() + end));
      sum += pointer_loss(network_->forward(batch), batch).item<double>() *
             static_cast<double>(end - begin);
    }
    average_.swap();
    return sum / static_cast<double>(std::max<size_t>(picked.size(), 1));
  }

 private:
  static const PointerOptions& seeded(const PointerOptions& options) {
    torch::manual_seed(options.seed);
    torch::set_num_threads(static_cast<int>(std::max(options.threads, 1U)));
    return options;
  }

  static Error not_finite(uint32_t epoch) {
    return Error{"training: the loss is not finite in epoch " + std::to_string(epoch)};
  }

  // learn: PointerBatch -> its loss
  template <typename Learn>
  Status pass_over(const Examples& examples,
                   const std::function<void(const PointerProgress&)>& progress,
                   const Learn& learn) {
    const View view(examples);
    std::vector<uint32_t> order(examples.size());
    std::iota(order.begin(), order.end(), 0U);
    const size_t batch = options_.batch;
    const auto steps = static_cast<int64_t>(options_.epochs * ((order.size() + batch - 1) / batch));
    int64_t step = 0;
    for (uint32_t epoch = 1; epoch <= options_.epochs; ++epoch) {
      std::shuffle(order.begin(), order.end(), random_);
      for (size_t begin = 0; begin < order.size(); begin += batch) {
        const size_t end = std::min(begin + batch, order.size());
        set_rate(optimizer_, cosine_rate(options_.learning_rate, step++, steps));
        const double loss = learn(view.pick(indices(&order[begin], order.data() + end)));
        if (!std::isfinite(loss)) return not_finite(epoch);
        progress({epoch, end, order.size(), loss});
      }
    }
    set_rate(optimizer_, options_.refine_rate);
    return Done{};
  }

  double learn(PointerBatch batch) {
    network_->train();
    hide_some(batch);
    return step_down(pointer_loss(network_->forward(batch), batch));
  }

  void hide_some(PointerBatch& batch) const {
    // Some ids are hidden, so that the "unknown" rows are trained and no id explains everything.
    batch.rows =
        torch::where(torch::rand(batch.rows.sizes()) < kIdDropout, unknown_rows_, batch.rows);
    // So are some of the history's numbers; those of the request stay.
    torch::Tensor history = batch.numbers.slice(1, kNumberCount);
    history.masked_fill_(torch::rand(history.sizes()) < kNumberDropout, 0);
  }

  // Returns the loss.
  double step_down(const torch::Tensor& loss) {
    optimizer_.zero_grad();
    loss.backward();
    torch::nn::utils::clip_grad_norm_(network_->parameters(), kMaxGradient);
    optimizer_.step();
    average_.add_step();
    return loss.item<double>();
  }

  PointerOptions options_;
  PointerNetwork network_;
  AverageWeights average_;
  torch::optim::AdamW optimizer_;
  std::mt19937_64 random_;
  torch::Tensor unknown_rows_;
};

PointerTrainer::PointerTrainer(const Vocabulary& vocabulary, const PointerOptions& options)
    : work_(std::make_unique<Work>(vocabulary, options)) {}
PointerTrainer::PointerTrainer(std::unique_ptr<Work> work) : work_(std::move(work)) {}
PointerTrainer::~PointerTrainer() = default;
PointerTrainer::PointerTrainer(PointerTrainer&&) noexcept = default;
PointerTrainer& PointerTrainer::operator=(PointerTrainer&&) noexcept = default;

Result<PointerTrainer> PointerTrainer::resume(const Vocabulary& vocabulary,
                                              const ModelContent& content,
                                              const PointerOptions& options) {
  if (!content.pointer) return Error{"the model is no pointer network: it cannot be refined"};
  const std::vector<ModelContent::Layer>& layers = content.layers;
  const uint32_t inputs = vocabulary.row_count() + kTrunkNumbers;
  if (layers.size() != 3 || layers[0].inputs != inputs || layers[0].outputs != kFirstWidth ||
      layers[1].outputs != kSecondWidth || content.pointer->width != kItemWidth) {
    return Error{"the model's shapes are not those that this build trains"};
  }
  try {
    auto work = std::make_unique<Work>(vocabulary, options);
    work->take_over(content);
    return PointerTrainer(std::move(work));
  } catch (const std::exception& failure) {
    return torch_error("training", failure);
  }
}

// libtorch has no other way to report than to throw.
Status PointerTrainer::fit(const Examples& examples,
                           const std::function<void(const PointerProgress&)>& progress) {
  try {
    return work_->fit(examples, progress);
  } catch (const std::exception& failure) {
    return torch_error("training", failure);
  }
}

Status PointerTrainer::imitate(const Examples& examples,
                               const std::function<void(const PointerProgress&)>& progress) {
  try {
    return work_->imitate(examples, progress);
  } catch (const std::exception& failure) {
    return torch_error("training", failure);
  }
}

Status PointerTrainer::refine(const Examples& examples, std::vector<uint32_t> picked) {
  try {
    return work_->refine(examples, std::move(picked));
  } catch (const std::exception& failure) {
    return torch_error("training", failure);
  }
}

Result<double> PointerTrainer::loss(const Examples& examples,
                                    const std::vector<uint32_t>& picked) const {
  try {
    return work_->loss(examples, picked);
  } catch (const std::exception& failure) {
    return torch_error("training", failure);
  }
}

Status PointerTrainer::mix(const Examples& examples, uint32_t place, Mixture& out) const {
  try {
    work_->mix(examples, place, out);
    return Done{};
  } catch (const std::exception& failure) {
    return torch_error("training", failure);
  }
}

void PointerTrainer::describe(ModelContent& content) const {
  work_->describe(content);
}

}  // namespace auspex
