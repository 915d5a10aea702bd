// SPDX-License-Identifier: Apache-2.0
#include "learn/follower.h"

#include <ctime>
#include <utility>

namespace auspex {
namespace {

uint64_t key_of(const HistoryRequest& request) {
  const uint64_t signature =
      history_keys(request.features)[static_cast<size_t>(HistoryKey::kSignature)];
  return in_flight_key(signature, request.submit_s);
}

}  // namespace

Follower::Follower(const FollowOptions& options, ModelContent content)
    : options_(options),
      content_(std::move(content)),
      vocabulary_(Vocabulary::of(content_)),
      pool_(vocabulary_, options.examples, options.training.seed) {}

Result<std::unique_ptr<Follower>> Follower::start(const FollowOptions& options) {
  auto model = ModelFile::open(options.model);
  if (!model) return model.error();
  std::unique_ptr<Follower> follower(new Follower(options, (*model)->content()));
  follower->published_id_ = (*model)->summary().id;
  for (auto* trainer : {&follower->published_, &follower->learning_}) {
    auto resumed =
        PointerTrainer::resume(follower->vocabulary_, follower->content_, options.training);
    if (!resumed) return Error{options.model + ": " + resumed.error().message};
    *trainer = std::make_unique<PointerTrainer>(std::move(*resumed));
  }
  return follower;
}

void Follower::see(const HistoryRequest& request, int64_t now_s) {
  const uint64_t key = key_of(request);
  if (key == 0) return;
  HistoryView view{};
  history_.view(request, now_s, view);
  in_flight_[key].push_back(pool_.put(request, view));
  in_flight_order_.push_back(key);
  ++since_pass_;
  // Whoever is older than the pool has lost his place in it.
  while (in_flight_order_.size() > options_.examples) {
    const auto oldest = in_flight_.find(in_flight_order_.front());
    if (oldest != in_flight_.end()) {
      oldest->second.pop_front();
      if (oldest->second.empty()) in_flight_.erase(oldest);
    }
    in_flight_order_.pop_front();
  }
}

Status Follower::take(const HistoryEvent& event,
                      const std::function<void(const FollowPass&)>& pass) {
  if (event.kind == EventKind::kSubmitted) see(event.request, event.request.submit_s);
  if (event.kind == EventKind::kStarted && event.start_s > event.request.submit_s) {
    see(event.request, event.start_s);
  }
  if (event.kind == EventKind::kEnded) {
    const auto found = in_flight_.find(key_of(event.request));
    if (found != in_flight_.end()) {
      // Equal submissions of one second cannot be told apart: all of them are learned as this one.
      if (event.runtime_s > 0) {
        for (const uint64_t number : found->second) pool_.end(number, event.runtime_s, true);
      }
      in_flight_.erase(found);
    }
  }
  apply(event, history_);
  if (since_pass_ < options_.every || pool_.fresh() < options_.least_ended) return Done{};
  since_pass_ = 0;
  Result<FollowPass> made = learn();
  if (!made) return made.error();
  pass(*made);
  return Done{};
}

Result<FollowPass> Follower::learn() {
  FollowPass out;
  const std::vector<uint32_t> picked = pool_.take();
  out.jobs = picked.size() / 2;
  const std::vector<uint32_t> fresh(picked.begin(),
                                    picked.begin() + static_cast<std::ptrdiff_t>(out.jobs));
  const Result<double> loss = learning_->loss(pool_.examples(), fresh);
  if (!loss) return loss.error();
  const Result<double> published_loss = published_->loss(pool_.examples(), fresh);
  if (!published_loss) return published_loss.error();
  out.loss = *loss;
  out.published_loss = *published_loss;
  // Neither had learned these jobs. The first pass has learned nothing yet.
  if (passes_ > 0 && out.loss <= out.published_loss) {
    if (Status written = publish(); !written) return written.error();
    out.published = true;
  } else if (passes_ > 0) {
    // What was learned did not help: from the published one again.
    auto again = PointerTrainer::resume(vocabulary_, content_, options_.training);
    if (!again) return again.error();
    *learning_ = std::move(*again);
  }
  if (Status refined = learning_->refine(pool_.examples(), picked); !refined) {
    return refined.error();
  }
  ++passes_;
  out.model = published_id_;
  return out;
}

Status Follower::publish() {
  ModelContent content = content_;
  learning_->describe(content);
  content.created_s = std::time(nullptr);
  if (history_.calibration().jobs() > 0) {
    content.calibration = history_.calibration().state();
    if (!vocabulary_.knows_owners()) content.calibration.users.clear();
  }
  const auto model = ModelFile::of(content);
  if (!model) return model.error();
  auto published = PointerTrainer::resume(vocabulary_, content, options_.training);
  if (!published) return published.error();
  if (Status written = write_model_file(options_.model, content); !written) return written;
  content_ = std::move(content);
  published_id_ = (*model)->summary().id;
  *published_ = std::move(*published);
  return Done{};
}

}  // namespace auspex
