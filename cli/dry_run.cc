// SPDX-License-Identifier: Apache-2.0
// auspex dry-run: what the daemon would decide, decided by the same engine.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/decision_output.h"
#include "cli/dry_run_jobs.h"
#include "cli/model_answer.h"
#include "cli/number_options.h"
#include "cli/script_file.h"
#include "cli/terminal.h"
#include "daemon/engine.h"
#include "ipc/client.h"
#include "shared/history/kept.h"
#include "shared/sbatch_options.h"

namespace auspex::cli {
namespace {

struct Options {
  std::optional<std::string> config, model;
  bool json = false;
  std::string format;
  PastJobs past;
};

// Ours and sbatch's options stand in any order; ours are these.
struct OwnOption {
  std::string_view name;
  bool takes_value;
};
constexpr OwnOption kOwn[] = {
    {"--json", false},         {"--help", false},  {"-h", false},
    {"--config", true},        {"--model", true},  {"--jobs", true},
    {"--from-fraction", true}, {"--format", true}, {"--limit", true},
    {"--max-bad", true},
};

struct Split {
  Words own, sbatch;
};

Split split(const Words& words) {
  Split parts;
  size_t next = 0;
  while (next < words.size()) {
    const std::string& word = words[next];
    const std::string name = word.substr(0, word.find('='));
    const auto* own =
        std::find_if(std::begin(kOwn), std::end(kOwn),
                     [&name](const OwnOption& option) { return option.name == name; });
    const bool is_own = own != std::end(kOwn);
    const bool value_follows = is_own && own->takes_value && name == word;
    const size_t count = is_own ? (value_follows ? 2 : 1) : words_of_option(word);
    if (count == 0) break;  // the script, and all that follows is its own
    Words& to = is_own ? parts.own : parts.sbatch;
    for (size_t i = 0; i < count && next < words.size(); ++i) to.push_back(words[next++]);
  }
  parts.sbatch.insert(parts.sbatch.end(), words.begin() + static_cast<std::ptrdiff_t>(next),
                      words.end());
  return parts;
}

std::optional<int> read_options(const Words& words, Options& options) {
  CLI::App app(
      "What would happen to a submission, and why. Nothing is submitted.\n\n"
      "  auspex dry-run [OPTIONS] [SBATCH OPTIONS] SCRIPT [ARGUMENTS]\n"
      "  auspex dry-run [OPTIONS] [SBATCH OPTIONS] --wrap COMMAND\n"
      "  auspex dry-run [OPTIONS] --jobs FILE --format FORMAT\n",
      "auspex dry-run");
  app.add_option("--config", options.config, std::string("configuration; ") + kDefaultConfig);
  app.add_option("--model", options.model, "model file, instead of the configuration's");
  app.add_option("--jobs", options.past.file.path,
                 "decide a history's submissions: plain, .gz or .xz");
  app.add_option("--format", options.format, "the history's: sacct, swf or csv");
  add_share(app, "--from-fraction", options.past.from_fraction,
            "decide the submissions after this share of all");
  add_count(app, "--limit", options.past.limit, "decide at most so many");
  add_share(app, "--max-bad", options.past.file.read.max_bad, "share of rows that may be bad");
  app.add_flag("--json", options.json, "print one JSON object");
  return parse_words(app, words);
}

Result<Engine> make_engine(const Options& options, Words& warnings) {
  Result<Config> config = load_config_or_defaults(options.config, warnings);
  if (!config) return config.error();
  if (options.model) config->model = *options.model;

  // A history names its users by name or uid, sbatch by uid: a rule's user may be met as either.
  Config by_name = *config;
  for (std::string& warning : resolve_users(*config)) warnings.push_back(std::move(warning));
  for (size_t i = 0; i < config->rules.size(); ++i) {
    std::vector<std::string>& users = config->rules[i].match.user;
    const std::vector<std::string>& names = by_name.rules[i].match.user;
    users.insert(users.end(), names.begin(), names.end());
  }

  auto found = load_predictor(*config);
  if (!found) {
    // As with the daemon: without a model every job is left alone. One named here must be there.
    if (options.model) return found.error();
    warnings.push_back("no model: " + found.error().message);
    return Engine(std::move(*config), nullptr);
  }
  warnings.insert(warnings.end(), found->warnings.begin(), found->warnings.end());
  auto& predictor = found->predictor;
  if (config->backend != Backend::kAuto) return Engine(std::move(*config), std::move(predictor));
  // As the daemon computes, which may differ from another way in the last digits.
  auto fastest = predictor->by_fastest_routes();
  if (!fastest) return fastest.error();
  return Engine(std::move(*config), std::move(*fastest));
}

// Everything that sbatch does before it sends a submission.
Result<Submission> read_submission(const Words& words) {
  Submission submission;
  const Result<std::string> script = apply_command_line(words, submission);
  if (!script) return script.error();
  if (submission.script.empty()) {
    Result<ScriptFile> file = read_script(*script);
    if (!file) return file.error();
    const Status applied = apply_script(file->text, file->shown_name, words, submission);
    if (!applied) return applied.error();
    if (!submission.argv.empty()) submission.argv[0] = file->argv0;
  }
  if (!submission.work_dir.starts_with('/')) {
    std::error_code ignored;
    const std::string here = std::filesystem::current_path(ignored).string();
    submission.work_dir = submission.work_dir.empty() ? here : here + "/" + submission.work_dir;
  }
  return submission;
}

// What the daemon knows, as far as it can be read.
JobHistory daemon_history(const Engine& engine, Words& warnings) {
  const Config::History& config = engine.config().history;
  HistoryCapacity capacity;
  capacity.keys = config.keys;
  if (!engine.predictor() || !engine.predictor()->reads_history() || config.state.empty()) {
    return engine.first_history(capacity);
  }
  Result<KeptHistory> kept = open_kept_history(config.state, capacity);
  Status replayed = Done{};
  if (kept && kept->journal) replayed = replay(*kept->journal, kept->history);
  if (!kept || !replayed) {
    const Error& error = kept ? replayed.error() : kept.error();
    warnings.push_back("predicted without the daemon's history: " + error.message);
    return engine.first_history(capacity);
  }
  return std::move(kept->history);
}

// Partitions, reservations and guard, as the daemon sees them now.
Result<Site> daemon_site(const Engine& engine) {
  constexpr std::chrono::seconds kTimeout{1};
  return ipc::request_site(engine.config().socket, kTimeout);
}

int run_one(const Options& options, const Words& words) {
  const Result<Submission> submission = read_submission(words);
  if (!submission) return fail("dry-run: " + submission.error().message);
  Words warnings;
  const Result<Engine> engine = make_engine(options, warnings);
  if (!engine) return fail("dry-run: " + engine.error().message);
  const JobHistory history = daemon_history(*engine, warnings);
  print_warnings(warnings);
  const Result<Site> site = daemon_site(*engine);
  const Site known = site ? *site : Site{};
  Terms terms = terms_of(*submission, engine->config(), known);
  ModelAnswer answer;
  if (terms.slice.run) {
    answer = model_answer(*terms.slice.run, engine->config().mig);
    terms.slice.answer = &answer;
  }
  const Decision decision =
      engine->decide(*submission, terms, history_request_of(*submission), &history, known);
  if (options.json) {
    nlohmann::json json = decision_json(*submission, decision);
    json["site"] = site ? "known" : "assumed";
    print_json(json);
  } else {
    print_decision(*submission, decision);
    if (!site) print_fields({{"assumed", "no reservation, and a guard: " + site.error().message}});
  }
  return kDone;
}

int run_past(Options& options) {
  const Result<JobFormat> format = parse_job_format(options.format);
  if (!format) return fail("dry-run: " + format.error().message);
  options.past.file.format = *format;
  Words warnings;
  const Result<Engine> engine = make_engine(options, warnings);
  if (!engine) return fail("dry-run: " + engine.error().message);
  return run_jobs(*engine, options.past, options.json, warnings);
}

}  // namespace

int dry_run(const Words& words) {
  const Split parts = split(words);
  Options options;
  if (const auto code = read_options(parts.own, options)) return *code;
  const bool past = !options.past.file.path.empty();
  if (past != !options.format.empty()) return fail("dry-run: --jobs and --format need each other");
  if (!past) return run_one(options, parts.sbatch);
  if (parts.sbatch.empty()) return run_past(options);
  return fail("dry-run: --jobs takes no submission, but '" + parts.sbatch[0] + "' is given");
}

}  // namespace auspex::cli
