// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_own.h"

#include <algorithm>
#include <memory>
#include <set>
#include <span>

#include "cli/bench_model.h"
#include "kernels/cuda_network.h"
#include "kernels/network.h"
#include "kernels/samples.h"
#include "shared/prediction.h"

namespace auspex::cli {
namespace {

constexpr std::string_view kReference = "reference";

// "int8-2:4-vnni": the set is vnni.
std::string set_of(const AvailableBackend& backend) {
  if (backend.name == kReference) return backend.name;
  return backend.name.substr(precision_name(backend.precision).size() + 1);
}

// "int8" names INT8, not 2:4.
bool names(const std::string& name, const AvailableBackend& backend) {
  const bool reference = backend.name == kReference;
  return name == backend.name || name == set_of(backend) ||
         (!reference && name == precision_name(backend.precision));
}

std::vector<AvailableBackend> chosen(const std::vector<std::string>& wanted) {
  std::vector<AvailableBackend> backends = available_backends();
  std::erase_if(backends, [&](const AvailableBackend& backend) {
    return !wanted.empty() && std::ranges::none_of(wanted, [&](const std::string& name) {
      return names(name, backend);
    });
  });
  return backends;
}

const std::string kCuda = "cuda", kCudaPersistent = kCuda + std::string(kPersistentSuffix);
const std::string kCudaInPlace = kCuda + "-in-place";

// "int8-2:4-cuda" -> "int8-2:4"
std::string precision_of(std::string_view cuda_backend) {
  if (cuda_backend.ends_with(kPersistentSuffix)) {
    cuda_backend.remove_suffix(kPersistentSuffix.size());
  }
  return std::string(cuda_backend.substr(0, cuda_backend.size() - kCudaSuffix.size()));
}

// Their first layers are INT8: a dense input of theirs is that of INT8.
bool is_coarser_than_int8(const std::string& precision) {
  return precision == precision_name(Precision::kInt4) ||
         precision == precision_name(Precision::kInt8Pairs);
}

// Those whose kernel stays on the card disturb others: they are taken only by that name.
std::vector<std::string> chosen_cuda(const std::vector<std::string>& wanted) {
  const auto named = [&](const std::string& backend, const std::string& set) {
    return std::ranges::any_of(
        wanted, [&](const std::string& name) { return name == backend || name == set; });
  };
  std::vector<std::string> chosen;
  for (const std::string& backend : cuda_backends()) {
    const bool by_precision = std::ranges::find(wanted, precision_of(backend)) != wanted.end();
    if (wanted.empty() || by_precision || named(backend, kCuda)) chosen.push_back(backend);
    const std::string persistent = backend + std::string(kPersistentSuffix);
    if (named(persistent, kCudaPersistent)) chosen.push_back(persistent);
  }
  return chosen;
}

using Jobs = std::shared_ptr<const std::vector<EncodedJob>>;
using NetworkHandle = std::shared_ptr<const Network>;

// The times of predictions that take their jobs in turn.
Result<std::vector<double>> prediction_times(const CallRound& round, const Network& network,
                                             std::span<const EncodedJob> jobs, size_t& next,
                                             float* outputs) {
  const auto prepare = [&] {
    next += round.batch;
    if (next + round.batch > jobs.size()) next = 0;
  };
  return call_times(round, prepare,
                    [&] { network.predict(jobs.subspan(next, round.batch), outputs); });
}

class PaperNetwork final : public Contestant {
 public:
  PaperNetwork(BenchLabel label, uint64_t bytes, NetworkHandle network, Jobs jobs)
      : Contestant(std::move(label), bytes), network_(std::move(network)), jobs_(std::move(jobs)) {}

  bool takes(uint32_t batch) const override {
    return batch == 1 || (label().sparsity != "rows" && label().backend != kCudaPersistent);
  }

  Result<std::vector<double>> run(const CallRound& round) override {
    outputs_.resize(size_t{round.batch} * kOutputCount);
    return prediction_times(round, *network_, *jobs_, next_, outputs_.data());
  }

 private:
  NetworkHandle network_;
  Jobs jobs_;
  std::vector<float> outputs_;
  size_t next_ = 0;
};

// Of jobs that lie, as their outputs do, where the card reads and writes them.
class InPlace final : public Contestant {
 public:
  static Result<std::unique_ptr<Contestant>> of(BenchLabel label, NetworkHandle network,
                                                const Jobs& jobs) {
    auto room = cuda_room(jobs->size() * (sizeof(EncodedJob) + kOutputCount * sizeof(float)));
    if (!room) return room.error();
    return std::unique_ptr<Contestant>(
        new InPlace(std::move(label), std::move(network), *jobs, std::move(*room)));
  }

  bool takes(uint32_t batch) const override { return batch >= 64; }

  Result<std::vector<double>> run(const CallRound& round) override {
    return prediction_times(round, *network_, jobs_, next_, outputs_);
  }

 private:
  InPlace(BenchLabel label, NetworkHandle network, const std::vector<EncodedJob>& jobs,
          std::shared_ptr<void> room)
      : Contestant(std::move(label)), network_(std::move(network)), room_(std::move(room)) {
    auto* const first = static_cast<EncodedJob*>(room_.get());
    std::ranges::copy(jobs, first);
    jobs_ = {first, jobs.size()};
    outputs_ = reinterpret_cast<float*>(first + jobs.size());
  }

  NetworkHandle network_;
  std::shared_ptr<void> room_;
  std::span<const EncodedJob> jobs_;
  float* outputs_ = nullptr;
  size_t next_ = 0;
};

// What the card takes for it, by its own clock, of jobs that it has already.
class CardTime final : public Contestant {
 public:
  CardTime(BenchLabel label, NetworkHandle network, Jobs jobs)
      : Contestant(std::move(label)), network_(std::move(network)), jobs_(std::move(jobs)) {}

  Result<std::vector<double>> run(const CallRound& round) override {
    if (round.cold) return Error{"the host's caches are nothing to the card"};
    constexpr uint32_t kEach = 20;
    std::vector<double> times_us;
    double spent_s = 0;
    while (times_us.size() < round.trials && spent_s < round.seconds) {
      next_ = next_ + 2 * round.batch > jobs_->size() ? 0 : next_ + round.batch;
      const auto times = cuda_times_us(*network_, {jobs_->data() + next_, round.batch}, kEach);
      if (!times) return times.error();
      for (const float us : *times) spent_s += us * 1e-6;
      times_us.insert(times_us.end(), times->begin(), times->end());
    }
    return times_us;
  }

 private:
  NetworkHandle network_;
  Jobs jobs_;
  size_t next_ = 0;
};

// From the inputs to the points of the distribution.
class PointerNetwork final : public Contestant {
 public:
  PointerNetwork(BenchLabel label, NetworkHandle network, Jobs jobs)
      : Contestant(std::move(label)), network_(std::move(network)), jobs_(std::move(jobs)) {}

  bool takes(uint32_t batch) const override { return batch == 1; }

  Result<std::vector<double>> run(const CallRound& round) override {
    return call_times(
        round, [this] { ++next_; },
        [this] {
          network_->mix({&(*jobs_)[next_ % jobs_->size()], &views_[next_ % views_.size()]},
                        mixture_);
          points_ = network_->points(mixture_);
        });
  }

 private:
  NetworkHandle network_;
  Jobs jobs_;
  std::vector<HistoryView> views_ = sample_views(64);
  Mixture mixture_;
  MixturePoints points_;
  size_t next_ = 0;
};

// What is made of one backend.
class Maker {
 public:
  Maker(std::shared_ptr<const ModelFile> model, uint32_t threads, Contestants& out)
      : model_(std::move(model)),
        threads_(threads),
        jobs_(std::make_shared<const std::vector<EncodedJob>>(sample_jobs(*model_, kBenchJobs))),
        out_(out) {}

  Status add(const AvailableBackend& backend, bool skip, bool dense) {
    const Result<NetworkHandle> network =
        load_network(model_, Plan{backend.name, skip, dense, threads_});
    if (!network) return network.error();
    const bool pairs = backend.precision == Precision::kInt8Pairs;
    BenchLabel label{"auspex", set_of(backend),
                     std::string(precision_name(pairs ? Precision::kInt8 : backend.precision))};
    label.sparsity = pairs ? "2:4" : skip ? "rows" : "none";
    label.input = dense ? "dense" : "gather";
    if (model_->pointer() != nullptr) {
      out_.push_back(std::make_unique<PointerNetwork>(std::move(label), *network, jobs_));
      return Done{};
    }
    const bool packed = label.backend == "vnni";
    const auto precisions = precisions_of(backend.precision, model_->layers().size());
    const uint64_t bytes =
        backend.name == kReference ? 0 : bytes_of(*model_, precisions, packed, skip, dense);
    out_.push_back(std::make_unique<PaperNetwork>(std::move(label), bytes, *network, jobs_));
    return Done{};
  }

  // On a GPU: as a request is answered, the card's share of that, and what it takes where nothing
  // is copied; of a kernel that stays the first alone.
  Status add_cuda(const std::string& backend, bool dense) {
    const Result<NetworkHandle> network = load_network(model_, Plan{backend, true, dense});
    if (!network) return network.error();
    const std::string precision = precision_of(backend);
    const bool pairs = precision == precision_name(Precision::kInt8Pairs);
    const bool persistent = backend.ends_with(kPersistentSuffix);
    BenchLabel label{"auspex", persistent ? kCudaPersistent : kCuda,
                     pairs ? std::string(precision_name(Precision::kInt8)) : precision};
    label.sparsity = pairs ? "2:4" : "none";
    label.input = dense ? "dense" : "gather";
    out_.push_back(std::make_unique<PaperNetwork>(label, 0, *network, jobs_));
    if (persistent) return Done{};
    label.backend = "cuda-kernel";
    out_.push_back(std::make_unique<CardTime>(label, *network, jobs_));
    if (dense) return Done{};
    label.backend = kCudaInPlace;
    auto in_place = InPlace::of(std::move(label), *network, jobs_);
    if (!in_place) return in_place.error();
    out_.push_back(std::move(*in_place));
    return Done{};
  }

 private:
  std::shared_ptr<const ModelFile> model_;
  uint32_t threads_;
  Jobs jobs_;
  Contestants& out_;
};

}  // namespace

Status check_backends(const std::vector<std::string>& wanted) {
  for (const std::string& name : wanted) {
    if (!chosen({name}).empty() || !chosen_cuda({name}).empty()) continue;
    if (is_cuda(name)) return Error{"backend \"" + name + "\": no GPU: " + cuda_state().absence};
    std::string message = "backend \"" + name + "\" does not run here; these do:";
    for (const AvailableBackend& backend : available_backends()) message += " " + backend.name;
    return Error{message};
  }
  return Done{};
}

Result<Contestants> own_contestants(const std::shared_ptr<const ModelFile>& model,
                                    const OwnChoice& choice) {
  Contestants contestants;
  Maker maker(model, choice.threads, contestants);
  std::set<Precision> dense_ones;
  for (const AvailableBackend& backend : chosen(choice.backends)) {
    const bool reference = backend.name == kReference;
    const bool pairs = backend.precision == Precision::kInt8Pairs;
    if (choice.gather) {
      // 2:4 has no rows to skip; as a daemon would load it.
      if (Status added = maker.add(backend, pairs, false); !added) return added.error();
      if (!reference && !pairs) {
        if (Status added = maker.add(backend, true, false); !added) return added.error();
      }
    }
    // The first layer is never coarser than INT8.
    if (!choice.dense || reference || backend.precision > Precision::kInt8) continue;
    if (!dense_ones.insert(backend.precision).second && !choice.every_dense) continue;
    if (Status added = maker.add(backend, false, true); !added) return added.error();
  }
  if (model->pointer() != nullptr) return contestants;
  for (const std::string& backend : chosen_cuda(choice.backends)) {
    if (choice.gather) {
      if (Status added = maker.add_cuda(backend, false); !added) return added.error();
    }
    const bool gathers =
        is_coarser_than_int8(precision_of(backend)) || backend.ends_with(kPersistentSuffix);
    if (!choice.dense || gathers) continue;
    if (Status added = maker.add_cuda(backend, true); !added) return added.error();
  }
  return contestants;
}

}  // namespace auspex::cli
