// SPDX-License-Identifier: Apache-2.0
#include "shared/mig_advice.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <vector>

#include "shared/message.h"
#include "shared/mig.h"
#include "shared/printable.h"
#include "shared/slice_audit.h"
#include "shared/units.h"

namespace auspex {
namespace {

constexpr std::array<std::string_view, kMigWhyCount> kWhyNames = {
    "no-model", "off",           "no-card",  "not-one-gpu", "typed",  "not-read",
    "refused",  "types-unknown", "no-slice", "advised",     "applied"};

// A field of a submission that asks for GPUs, and of the edits that would change it.
struct GpuField {
  std::string Submission::*asked;
  std::optional<std::string> Edits::*edit;
};
constexpr GpuField kGpuFields[] = {{&Submission::tres_per_job, &Edits::tres_per_job},
                                   {&Submission::tres_per_node, &Edits::tres_per_node},
                                   {&Submission::tres_per_socket, &Edits::tres_per_socket},
                                   {&Submission::tres_per_task, &Edits::tres_per_task}};

// "gres:gpu:1,gres:license:2" with a type -> "gres:gpu:1g.5gb:1,...". nullopt: no such entry.
std::optional<std::string> with_type(const std::string& tres, const std::string& type) {
  for (size_t at = 0; at < tres.size();) {
    const size_t end = std::min(tres.find(',', at), tres.size());
    std::string_view entry = std::string_view(tres).substr(at, end - at);
    const bool prefixed = entry.starts_with("gres:") || entry.starts_with("gres/");
    const size_t name = at + (prefixed ? 5 : 0);
    if (prefixed) entry.remove_prefix(5);
    if (entry == "gpu" || entry == "gpu:1" || entry == "gpu=1") {
      return std::string(tres).insert(name + 3, ":" + type);
    }
    at = end + 1;
  }
  return std::nullopt;
}

bool asks_for_one_gpu(const Submission& s, const Resources& resources) {
  const bool one_node = s.min_nodes.value_or(1) <= 1 && s.max_nodes.value_or(1) <= 1;
  const auto fields = std::count_if(
      std::begin(kGpuFields), std::end(kGpuFields),
      [&s](const GpuField& field) { return (s.*field.asked).find("gpu") != std::string::npos; });
  return resources.gpus == 1 && one_node && fields == 1;
}

// The one kind of card behind all of the job's partitions; empty: none, or several.
std::string card_of(const Submission& s, const Config& config, const Site& site) {
  std::string card;
  for (const std::string_view name : partition_names(site, s.partition)) {
    const auto found = config.mig.partitions.find(std::string(name));
    if (found == config.mig.partitions.end() || mig_card(found->second) == nullptr) return "";
    if (!card.empty() && card != found->second) return "";
    card = found->second;
  }
  return card;
}

std::string absolute(const std::string& path, const std::string& folder) {
  return path.starts_with('/') ? path : folder + "/" + path;
}

std::string or_else(const std::string& text, const char* otherwise) {
  return text.empty() ? otherwise : text;
}

// The types that all of the job's partitions have. nullopt: not known.
std::optional<std::vector<std::string>> common_types(const Submission& s, const Site& site) {
  std::optional<std::vector<std::string>> common;
  for (const std::string_view name : partition_names(site, s.partition)) {
    const Partition* partition = find_partition(site, name);
    if (partition == nullptr || partition->gpu_types.empty()) return std::nullopt;
    if (!common) common = partition->gpu_types;
    std::erase_if(*common, [&](const std::string& type) {
      const auto& types = partition->gpu_types;
      return std::find(types.begin(), types.end(), type) == types.end();
    });
  }
  return common;
}

// What the site calls a profile: as the YAML says, else "1g.5gb" or "nvidia_a100_1g.5gb". Empty:
// there is none.
std::string type_of(const std::string& profile, const Config& config,
                    const std::vector<std::string>& types) {
  const auto named = config.mig.types.find(profile);
  for (const std::string& type : types) {
    if (named != config.mig.types.end() ? type == named->second
                                        : type == profile || type.ends_with("_" + profile)) {
      return type;
    }
  }
  return "";
}

bool has_slices(const MigCard& card, const Config& config, const std::vector<std::string>& types) {
  return std::any_of(card.profiles.begin(), card.profiles.end(), [&](const MigProfile& profile) {
    return !type_of(std::string(profile.name), config, types).empty();
  });
}

// A slice under the type that the site has for it.
struct TypedSlice {
  MigSlice slice;
  std::string type;
};

// types: nullptr: whatever the card can be cut into.
std::optional<TypedSlice> choose(const MigCard& card, const ModelNeed& need, const Config& config,
                                 const std::vector<std::string>* types) {
  std::vector<MigSlice> slices = mig_slices(card, need.slice_ms);
  const auto type = [&](const std::string& profile) {
    return types == nullptr ? profile : type_of(profile, config, *types);
  };
  std::erase_if(slices, [&](const MigSlice& slice) { return type(slice.name).empty(); });
  const MigSlice* best =
      smallest_fit(slices, {need.memory_mib, config.mig.headroom, need.memory_upper_mib});
  if (best == nullptr) return std::nullopt;
  return TypedSlice{*best, type(best->name)};
}

std::string gib_text(double mib) {
  return format_general(std::ceil(mib / 1024 * 10) / 10, 4) + " GiB";
}

// As users write it: without the prefix of Slurm's version.
std::string bare(std::string_view tres) {
  for (const std::string_view prefix : {"gres:", "gres/"}) {
    if (tres.starts_with(prefix)) tres.remove_prefix(prefix.size());
  }
  return std::string(tres);
}

// The file's name: what is above it is the user's own.
std::string shown(const std::string& path) {
  return printable(path.substr(path.rfind('/') + 1));
}

void say(Decision& d, const std::string& text) {
  constexpr std::string_view kHead = "auspex: ";
  std::string line = d.edits.message ? *d.edits.message + "; " : std::string(kHead);
  line += text;
  d.edits.message = line.substr(0, kMaxMessageTextBytes);
}

void apply_type(const Submission& s, const GpuField& field, const std::string& typed, Decision& d) {
  d.mig.why = MigWhy::kApplied;
  d.edits.*field.edit = typed;
  const std::string audit =
      slice_audit_text({s.*field.asked, typed, std::round(d.mig.need->memory_mib)});
  d.edits.admin_comment = d.edits.admin_comment ? *d.edits.admin_comment + ' ' + audit : audit;
}

}  // namespace

std::string_view mig_why_name(MigWhy why) {
  return kWhyNames[static_cast<size_t>(why)];
}

std::optional<MigWhy> mig_why_named(std::string_view name) {
  const auto found = std::find(kWhyNames.begin(), kWhyNames.end(), name);
  if (found == kWhyNames.end()) return std::nullopt;
  return static_cast<MigWhy>(found - kWhyNames.begin());
}

MigQuestion mig_question(const Submission& s, const Directives& directives, const Config& config,
                         const Site& site) {
  const auto because = [](MigWhy why) { return MigQuestion{.why = why, .run = {}}; };
  if (config.mig.mode == MigMode::kOff || config.mig.model_dirs.empty()) {
    return because(MigWhy::kOff);
  }
  if (config.mig.partitions.empty()) return because(MigWhy::kNoCard);
  if (directives.model.empty() || directives.off) return because(MigWhy::kNoModel);
  const std::string card = card_of(s, config, site);
  if (card.empty()) return because(MigWhy::kNoCard);
  const Resources resources = requested_resources(s);
  if (!resources.gpu_type.empty()) return because(MigWhy::kTyped);
  if (!asks_for_one_gpu(s, resources)) return because(MigWhy::kNotOneGpu);
  // Training takes the most: who does not say is not surprised. TF32 is what PyTorch lets
  // convolutions in FP32 use.
  return {.why = MigWhy::kNotRead,
          .run = ModelRun{.path = absolute(directives.model, s.work_dir),
                          .card = card,
                          .input = directives.input,
                          .mode = or_else(directives.mode, "training"),
                          .format = or_else(directives.format, "tf32"),
                          .optimizer = or_else(directives.optimizer, "adam"),
                          .batch = directives.batch.value_or(0),
                          .context_mib = config.mig.context_mib}};
}

void advise_slice(const Submission& s, const MigQuestion& question, const Config& config,
                  const Site& site, Decision& d) {
  d.mig.why = question.why;
  if (!question.run) return;
  d.mig.card = question.run->card;
  d.mig.headroom = config.mig.headroom;
  const ModelAnswer* answer = question.answer;
  if (answer == nullptr) return;
  const std::string model = shown(question.run->path);
  if (!answer->need) {
    d.mig.why = MigWhy::kRefused;
    return say(d, model + ": no advice: " + printable(answer->refusal));
  }
  const ModelNeed& need = *answer->need;
  d.mig.need = need;
  const MigCard& card = *mig_card(d.mig.card);
  const auto types = common_types(s, site);
  if (!types || !has_slices(card, config, *types)) {
    d.mig.why = MigWhy::kTypesUnknown;
    const auto possible = choose(card, need, config, nullptr);
    if (possible) d.mig.profile = possible->slice.name;
    return;
  }
  const std::string needs = model + " needs about " + gib_text(need.memory_mib) + ", at most " +
                            gib_text(std::max(need.memory_mib, need.memory_upper_mib));
  const auto chosen = choose(card, need, config, &*types);
  if (!chosen) {
    d.mig.why = MigWhy::kNoSlice;
    return say(d, needs + ", more than any slice here has to spare");
  }
  d.mig.profile = chosen->slice.name;
  d.mig.type = chosen->type;
  d.mig.why = MigWhy::kAdvised;
  for (const GpuField& field : kGpuFields) {
    const auto typed = with_type(s.*field.asked, chosen->type);
    if (!typed) continue;
    const std::string usable =
        ", of the " + gib_text(chosen->slice.usable_mib) + " of a " + chosen->slice.name;
    if (config.mig.mode == MigMode::kAdvise) {
      return say(d, needs + usable + ": --gres=gpu:" + chosen->type + ":1 would do");
    }
    apply_type(s, field, *typed, d);
    return say(d, needs + usable + ": " + bare(s.*field.asked) + " -> " + bare(*typed));
  }
}

}  // namespace auspex
