// SPDX-License-Identifier: Apache-2.0
#include "learn/boosted_trees.h"

#include <xgboost/c_api.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace auspex {
namespace {

constexpr double kHourS = 3600;

struct FreeMatrix {
  void operator()(void* matrix) const { XGDMatrixFree(matrix); }
};
using MatrixHandle = std::unique_ptr<void, FreeMatrix>;

// libxgboost appends a stack trace to its reason.
Error failed(std::string_view what) {
  std::string reason = XGBGetLastError();
  reason.resize(std::min(reason.find("Stack trace"), reason.size()));
  reason.resize(reason.find_last_not_of(" \n") + 1);
  return Error{"xgboost: " + std::string(what) + ": " + reason};
}

// Unlike std::to_string, neither rounded nor in the words of a locale.
template <class Number>
std::string text_of(Number value) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}

Status check(const Matrix& matrix, std::string_view name) {
  const auto size = text_of(matrix.rows) + " x " + text_of(matrix.columns);
  if (matrix.values.size() != matrix.rows * matrix.columns) {
    return Error{std::string(name) + ": " + text_of(matrix.values.size()) + " values are not " +
                 size};
  }
  if (matrix.values.empty()) return Error{std::string(name) + ": no values: " + size};
  return Done{};
}

Status check(const Matrix& matrix, std::span<const float> target, std::string_view name) {
  if (Status checked = check(matrix, name); !checked) return checked;
  if (target.size() != matrix.rows) {
    return Error{std::string(name) + ": " + text_of(target.size()) + " targets for " +
                 text_of(matrix.rows) + " rows"};
  }
  const auto wrong = std::ranges::find_if_not(target, [](float y) { return std::isfinite(y); });
  if (wrong != target.end()) {
    return Error{std::string(name) + ": target " + text_of(wrong - target.begin()) + ": " +
                 text_of(*wrong) + " is not finite"};
  }
  return Done{};
}

// target: empty for rows to predict.
Result<MatrixHandle> load(const Matrix& matrix, std::span<const float> target, int threads) {
  DMatrixHandle raw = nullptr;
  if (XGDMatrixCreateFromMat_omp(matrix.values.data(), matrix.rows, matrix.columns,
                                 std::numeric_limits<float>::quiet_NaN(), &raw, threads) != 0) {
    return failed("cannot take " + text_of(matrix.rows) + " rows");
  }
  MatrixHandle handle(raw);
  if (!target.empty() && XGDMatrixSetFloatInfo(raw, "label", target.data(), target.size()) != 0) {
    return failed("cannot take " + text_of(target.size()) + " targets");
  }
  return handle;
}

// The constant that the objective would choose: later trees start from there. Set by us because
// libxgboost estimates it for one objective and takes 0.5 for the other.
double best_constant(std::span<const float> target, BoostedObjective objective) {
  if (objective == BoostedObjective::kSquaredError) {
    double sum = 0;
    for (const float y : target) sum += y;
    return sum / static_cast<double>(target.size());
  }
  std::vector<float> sorted(target.begin(), target.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  return *middle;
}

// What libxgboost filled in. Shape: the product of its dimensions.
std::span<const float> all_values(const float* values, const bst_ulong* shape,
                                  bst_ulong dimensions) {
  size_t count = 1;
  for (bst_ulong i = 0; i < dimensions; ++i) count *= shape[i];
  return {values, count};
}

// The span is libxgboost's and lives until the booster's next prediction.
Result<std::span<const float>> predict_raw(BoosterHandle booster, DMatrixHandle rows) {
  constexpr const char* kValuesOfAllTrees =
      R"({"type":0,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false})";
  const bst_ulong* shape = nullptr;
  bst_ulong dimensions = 0;
  const float* values = nullptr;
  if (XGBoosterPredictFromDMatrix(booster, rows, kValuesOfAllTrees, &shape, &dimensions, &values) !=
      0) {
    return failed("cannot predict");
  }
  return all_values(values, shape, dimensions);
}

void score(std::span<const float> predicted, std::span<const float> target, BoostedTrial& trial) {
  double error_s = 0, accuracy = 0;
  for (size_t row = 0; row < target.size(); ++row) {
    const double predicted_s = std::exp(static_cast<double>(predicted[row]));
    const double runtime_s = std::exp(static_cast<double>(target[row]));
    error_s += std::abs(predicted_s - runtime_s);
    accuracy += std::min(predicted_s, runtime_s) / std::max(predicted_s, runtime_s);
  }
  const auto count = static_cast<double>(target.size());
  trial.mae_h = error_s / count / kHourS;
  trial.accuracy = accuracy / count;
}

Matrix joined(const Matrix& first, const Matrix& second, std::vector<float>& values) {
  values.reserve(first.values.size() + second.values.size());
  values.assign(first.values.begin(), first.values.end());
  values.insert(values.end(), second.values.begin(), second.values.end());
  return {values, first.rows + second.rows, first.columns};
}

}  // namespace

// A booster that grows by one tree per round.
class BoostedTrees::Training {
 public:
  // matrices: the training rows, then rows to be predicted after each round; libxgboost remembers
  // their predictions, so that a round costs one tree. They must outlive this.
  static Result<Training> start(std::span<const DMatrixHandle> matrices,
                                std::span<const float> target, const BoostedOptions& options) {
    BoosterHandle raw = nullptr;
    if (XGBoosterCreate(matrices.data(), matrices.size(), &raw) != 0) {
      return failed("cannot create a booster");
    }
    Training training(Handle(raw), matrices[0]);
    const std::pair<const char*, std::string> settings[] = {
        {"verbosity", "0"},
        {"booster", "gbtree"},
        {"tree_method", "hist"},
        {"objective", std::string(name_of(options.objective))},
        {"base_score", text_of(best_constant(target, options.objective))},
        {"max_depth", text_of(options.depth)},
        {"eta", text_of(options.eta)},
        {"subsample", text_of(options.row_share)},
        {"colsample_bytree", text_of(options.column_share)},
        {"nthread", text_of(options.threads)},
        {"seed", text_of(options.seed)}};
    for (const auto& [name, value] : settings) {
      if (XGBoosterSetParam(raw, name, value.c_str()) != 0) {
        return failed(std::string(name) + " = " + value);
      }
    }
    return training;
  }

  Status round() {
    if (XGBoosterUpdateOneIter(booster_.get(), rounds_, matrix_) != 0) {
      return failed("round " + text_of(rounds_));
    }
    ++rounds_;
    return Done{};
  }

  BoosterHandle booster() const { return booster_.get(); }
  Handle release() { return std::move(booster_); }

 private:
  Training(Handle booster, DMatrixHandle matrix) : booster_(std::move(booster)), matrix_(matrix) {}

  Handle booster_;
  DMatrixHandle matrix_;
  int rounds_ = 0;
};

void BoostedTrees::Free::operator()(void* booster) const {
  XGBoosterFree(booster);
}

BoostedTrees::BoostedTrees(Handle booster, size_t columns, const BoostedOptions& options)
    : booster_(std::move(booster)), columns_(columns), options_(options) {}

std::string_view name_of(BoostedObjective objective) {
  return objective == BoostedObjective::kSquaredError ? "reg:squarederror" : "reg:absoluteerror";
}

Result<BoostedTrees> BoostedTrees::fit(const Matrix& train, std::span<const float> target,
                                       const BoostedOptions& options) {
  if (Status checked = check(train, target, "training rows"); !checked) return checked.error();
  Result<MatrixHandle> matrix = load(train, target, options.threads);
  if (!matrix) return matrix.error();
  const DMatrixHandle matrices[] = {matrix->get()};
  Result<Training> training = Training::start(matrices, target, options);
  if (!training) return training.error();
  for (int round = 0; round < options.rounds; ++round) {
    if (Status grown = training->round(); !grown) return grown.error();
  }
  return BoostedTrees(training->release(), train.columns, options);
}

Result<BoostedTrees> BoostedTrees::tuned(const Matrix& train, std::span<const float> target,
                                         const Matrix& validation,
                                         std::span<const float> validation_target,
                                         const BoostedOptions& options) {
  if (Status checked = check(train, target, "training rows"); !checked) return checked.error();
  if (Status checked = check(validation, validation_target, "validation rows"); !checked) {
    return checked.error();
  }
  if (validation.columns != train.columns) {
    return Error{"validation rows: " + text_of(validation.columns) +
                 " columns, training rows: " + text_of(train.columns)};
  }
  const auto try_setting = [&](const MatrixHandle& rows, const MatrixHandle& later_rows,
                               BoostedTrial& best) -> Status {
    const DMatrixHandle matrices[] = {rows.get(), later_rows.get()};
    Result<Training> training = Training::start(matrices, target, best.options);
    if (!training) return training.error();
    best.options.rounds = 0;
    best.mae_h = std::numeric_limits<double>::infinity();
    for (int round = 1; round <= options.rounds; ++round) {
      if (Status grown = training->round(); !grown) return grown;
      Result<std::span<const float>> predicted = predict_raw(training->booster(), matrices[1]);
      if (!predicted) return predicted.error();
      BoostedTrial now{best.options};
      now.options.rounds = round;
      score(*predicted, validation_target, now);
      if (now.mae_h < best.mae_h) best = now;
      if (round - best.options.rounds >= options.patience) break;
    }
    return Done{};
  };

  std::vector<BoostedTrial> trials;
  {
    // Their memory is free again before all rows are loaded.
    Result<MatrixHandle> rows = load(train, target, options.threads);
    if (!rows) return rows.error();
    Result<MatrixHandle> later_rows = load(validation, validation_target, options.threads);
    if (!later_rows) return later_rows.error();
    for (const auto objective :
         {BoostedObjective::kAbsoluteError, BoostedObjective::kSquaredError}) {
      for (const int depth : {6, 8}) {
        BoostedTrial& trial = trials.emplace_back(BoostedTrial{options});
        trial.options.objective = objective;
        trial.options.depth = depth;
        if (Status tried = try_setting(*rows, *later_rows, trial); !tried) return tried.error();
      }
    }
  }
  const BoostedTrial& best = *std::ranges::min_element(trials, {}, &BoostedTrial::mae_h);
  std::vector<float> all_values;
  const Matrix all = joined(train, validation, all_values);
  std::vector<float> all_targets(target.begin(), target.end());
  all_targets.insert(all_targets.end(), validation_target.begin(), validation_target.end());
  Result<BoostedTrees> fitted = fit(all, all_targets, best.options);
  if (fitted) fitted->trials_ = std::move(trials);
  return fitted;
}

Result<std::vector<float>> BoostedTrees::predict(const Matrix& rows) const {
  // libxgboost itself would take rows with fewer columns, as if the rest were missing.
  if (rows.columns != columns_) {
    return Error{"rows of " + text_of(rows.columns) + " columns, the trees were fitted on " +
                 text_of(columns_)};
  }
  if (rows.rows == 0 && rows.values.empty()) return std::vector<float>();
  if (Status checked = check(rows, "rows"); !checked) return checked.error();
  Result<MatrixHandle> matrix = load(rows, {}, options_.threads);
  if (!matrix) return matrix.error();
  Result<std::span<const float>> predicted = predict_raw(booster_.get(), matrix->get());
  if (!predicted) return predicted.error();
  return std::vector<float>(predicted->begin(), predicted->end());
}

Result<std::span<const float>> BoostedTrees::predict_in_place(const Matrix& rows) const {
  constexpr const char* kSettings =
      R"({"type":0,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false,)"
      R"("cache_id":0,"missing":NaN})";
  if (rows.columns != columns_) {
    return Error{"rows of " + text_of(rows.columns) + " columns, the trees were fitted on " +
                 text_of(columns_)};
  }
  if (Status checked = check(rows, "rows"); !checked) return checked.error();
  // Source: numpy's array interface, version 3.
  const std::string array = R"({"data":[)" +
                            text_of(reinterpret_cast<uintptr_t>(rows.values.data())) +
                            R"(,true],"typestr":"<f4","version":3,"shape":[)" + text_of(rows.rows) +
                            "," + text_of(rows.columns) + "]}";
  const bst_ulong* shape = nullptr;
  bst_ulong dimensions = 0;
  const float* values = nullptr;
  if (XGBoosterPredictFromDense(booster_.get(), array.c_str(), kSettings, nullptr, &shape,
                                &dimensions, &values) != 0) {
    return failed("cannot predict in place");
  }
  return all_values(values, shape, dimensions);
}

}  // namespace auspex
