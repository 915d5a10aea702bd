// SPDX-License-Identifier: Apache-2.0
#include "cli/model_answer.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/programs.h"
#include "shared/mig.h"
#include "shared/units.h"

namespace auspex::cli {
namespace {

ModelAnswer refused(std::string why) {
  return {std::nullopt, std::move(why)};
}

bool lies_below(const std::string& path, const std::vector<std::string>& folders) {
  std::error_code ignored;
  const std::string real = std::filesystem::canonical(path, ignored);
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    const std::string head = std::filesystem::canonical(folder, ignored);
    return !head.empty() && real.starts_with(head == "/" ? head : head + "/");
  });
}

// As the reader says it: without the names of the program and the file.
std::string reason_in(std::string complaint, const std::string& path) {
  for (const std::string& head : {std::string("auspex: "), path + ": "}) {
    if (complaint.starts_with(head)) complaint.erase(0, head.size());
  }
  return complaint;
}

}  // namespace

ModelAnswer model_answer(const ModelRun& run, const Config::Mig& mig) {
  if (run.batch == 0) return refused("batch=N is not said");
  std::error_code missing;
  if (!std::filesystem::exists(run.path, missing)) return refused("No such file or directory");
  if (!lies_below(run.path, mig.model_dirs)) return refused("it lies outside mig.model_dirs");
  Words words = {program_path(kGraphProgram),
                 "graph",
                 run.path,
                 "--json",
                 "--batch",
                 std::to_string(run.batch),
                 "--gpu",
                 run.card,
                 "--mode",
                 run.mode,
                 "--format",
                 run.format,
                 "--optimizer",
                 run.optimizer,
                 "--context-mib",
                 format_general(run.context_mib, 9)};
  if (!run.input.empty()) words.insert(words.end(), {"--input", run.input});
  const auto printed = output_of(std::move(words));
  if (!printed) return refused(reason_in(printed.error().message, run.path));
  const auto said = nlohmann::json::parse(*printed, nullptr, false);
  const MigCard* card = mig_card(run.card);
  if (!said.is_object() || card == nullptr) return refused("auspex-graph said no figures");
  ModelNeed need = {
      said["memory_mib"], said["memory_upper_mib"], said["latency_ms"], said["energy_j"], {}};
  for (const MigSlice& slice : mig_slices(*card)) {
    need.slice_ms.push_back(said["slice_latency_ms"][slice.name]);
  }
  return {need, ""};
}

}  // namespace auspex::cli
