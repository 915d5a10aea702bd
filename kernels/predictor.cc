// SPDX-License-Identifier: Apache-2.0
#include "kernels/predictor.h"

#include <algorithm>
#include <chrono>

namespace auspex {

Result<std::shared_ptr<const RuntimePredictor>> RuntimePredictor::load(
    const std::string& model_path, std::string_view backend) {
  auto model = ModelFile::open(model_path);
  if (!model) return model.error();
  auto predictor = with(std::move(*model), backend);
  if (!predictor) return Error{model_path + ": " + predictor.error().message};
  return predictor;
}

Result<std::shared_ptr<const RuntimePredictor>> RuntimePredictor::with(
    std::shared_ptr<const ModelFile> model, std::string_view backend) {
  auto network = load_network(model, backend);
  if (!network) return network.error();
  return std::shared_ptr<const RuntimePredictor>(
      new RuntimePredictor(std::move(model), std::move(*network)));
}

Result<std::shared_ptr<const RuntimePredictor>> RuntimePredictor::by_fastest_routes() const {
  auto routes = Routes::measure(model_);
  if (!routes) return routes.error();
  auto network = routes->network;
  return std::shared_ptr<const RuntimePredictor>(new RuntimePredictor(
      model_, std::move(network), std::make_shared<const Routes>(std::move(*routes))));
}

Prediction RuntimePredictor::predict(const HistoryRequest& request, const JobHistory* history,
                                     int64_t now_s) const {
  static const JobHistory kFirstDay({.keys = 1, .in_flight = 1});
  const auto start = std::chrono::steady_clock::now();
  if (history == nullptr) history = &kFirstDay;
  HistoryView view;
  if (reads_history()) history->view(request, now_s, view);
  Prediction prediction = predict(request, view);
  if (reads_history()) history->calibrate(request, view, prediction);
  prediction.latency_us =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
  return prediction;
}

Prediction RuntimePredictor::predict(const HistoryRequest& request, const HistoryView& view) const {
  const EncodedJob job = model_->encode(request.features);
  Prediction prediction;
  if (reads_history()) {
    Mixture mixture;
    network_->mix({&job, &view}, mixture);
    const MixturePoints points = network_->points(mixture);
    prediction = prediction_from_outputs(points.outputs.data(), request.limit_s);
    prediction.mean_s = std::clamp<double>(points.mean_s, 1.0, std::max(request.limit_s, 1.0));
    prediction.confidence = points.confidence;
  } else {
    float outputs[kOutputCount];
    network_->predict({&job, 1}, outputs);
    prediction = prediction_from_outputs(outputs, request.limit_s);
  }
  prediction.model = model_->summary().id;
  prediction.backend = network_->backend();
  return prediction;
}

}  // namespace auspex
