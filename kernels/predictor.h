// SPDX-License-Identifier: Apache-2.0
// RuntimePredictor: a model file and a backend; a submission in, a prediction out.
#pragma once

#include <memory>
#include <string>

#include "kernels/network.h"
#include "kernels/routes.h"
#include "shared/history/history.h"
#include "shared/prediction.h"

namespace auspex {

class RuntimePredictor {
 public:
  // Errors: those of ModelFile::open and load_network.
  static Result<std::shared_ptr<const RuntimePredictor>> load(const std::string& model_path,
                                                              std::string_view backend = "auto");

  static Result<std::shared_ptr<const RuntimePredictor>> with(
      std::shared_ptr<const ModelFile> model, std::string_view backend = "auto");

  // The same, measured and computed as this machine does it fastest. Errors: those of
  // Routes::measure.
  Result<std::shared_ptr<const RuntimePredictor>> by_fastest_routes() const;
  // null: nothing was measured.
  const Routes* routes() const { return routes_.get(); }

  // What the history says is part of the prediction if the model was trained with one: where past
  // runtimes point, and how far the network's upper quantiles can be trusted (calibrated then).
  // null, or one that knows nothing: as on a site's first day. Threads: any, while nobody changes
  // the history. Clipped to the submission's own limit.
  Prediction predict(const HistoryRequest& request, const JobHistory* history = nullptr) const {
    return predict(request, history, request.submit_s);
  }
  // The same for a job that still waits at `now_s`.
  Prediction predict(const HistoryRequest& request, const JobHistory* history, int64_t now_s) const;

  // The network's own from what the history kept, at a moment of the caller's choice: without
  // calibration and latency.
  Prediction predict(const HistoryRequest& request, const HistoryView& view) const;

  // Whether predict() looks at the history.
  bool reads_history() const { return model_->pointer() != nullptr; }

  const ModelFile& model() const { return *model_; }
  std::string_view backend() const { return network_->backend(); }

 private:
  RuntimePredictor(std::shared_ptr<const ModelFile> model, std::shared_ptr<const Network> network,
                   std::shared_ptr<const Routes> routes = nullptr)
      : model_(std::move(model)), network_(std::move(network)), routes_(std::move(routes)) {}
  std::shared_ptr<const ModelFile> model_;
  std::shared_ptr<const Network> network_;
  std::shared_ptr<const Routes> routes_;
};

}  // namespace auspex
