// SPDX-License-Identifier: Apache-2.0
// RuntimePredictor: a model file and a backend; a submission in, a prediction out.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/mlp.h"
#include "shared/features.h"
#include "shared/prediction.h"

namespace auspex {

class RuntimePredictor {
 public:
  // Errors: those of ModelFile::open and make_backend.
  static Result<std::shared_ptr<const RuntimePredictor>> load(const std::string& model_path,
                                                              std::string_view backend = "auto");

  // Threads: any. Clipped to the submission's own limit.
  Prediction predict(const Submission& submission) const;

  // Units: limits_s in seconds, infinity for none; one entry per job.
  std::vector<Prediction> predict(std::span<const Features> jobs,
                                  std::span<const double> limits_s) const;

  const ModelFile& model() const { return *model_; }
  std::string_view backend() const { return backend_->name(); }

 private:
  RuntimePredictor(std::shared_ptr<const ModelFile> model, std::unique_ptr<MlpBackend> backend)
      : model_(std::move(model)), backend_(std::move(backend)) {}
  std::shared_ptr<const ModelFile> model_;
  std::unique_ptr<MlpBackend> backend_;
};

}  // namespace auspex
