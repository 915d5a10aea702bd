// SPDX-License-Identifier: Apache-2.0
// What is done here was compared with sbatch 22.05.8 and a job_submit/lua plugin that prints what
// slurmctld received.
#include "shared/sbatch_options.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <optional>

#include "shared/sbatch_option_table.h"

namespace auspex {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

Error option_error(const SbatchOption& option, const std::string& what) {
  return Error{"--" + std::string(option.name) + ": " + what};
}

// An exact name, or the beginning of only one: getopt_long(3) takes that too.
Result<const SbatchOption*> find_long(std::string_view name) {
  const SbatchOption* found = nullptr;
  for (const SbatchOption& option : sbatch_options()) {
    if (option.name == name) return &option;
    if (name.empty() || !option.name.starts_with(name)) continue;
    if (found != nullptr) {
      return Error{"--" + std::string(name) + ": is ambiguous: --" + std::string(found->name) +
                   " or --" + std::string(option.name)};
    }
    found = &option;
  }
  if (found == nullptr) return Error{"--" + std::string(name) + ": is no option of sbatch"};
  return found;
}

const SbatchOption* find_letter(char letter) {
  for (const SbatchOption& option : sbatch_options()) {
    if (option.letter != 0 && option.letter == letter) return &option;
  }
  return nullptr;
}

Status set(const SbatchOption& option, std::string_view value, SbatchDraft& draft) {
  if (option.set == nullptr) return Done{};
  Status status = option.set(value, draft);
  return status ? status : Status(option_error(option, status.error().message));
}

// Reads options from words; stops at the first word that is none.
class WordReader {
 public:
  WordReader(const std::vector<std::string>& words, SbatchDraft& draft)
      : words_(words), draft_(draft) {}

  // Returns the index of the first word after the options.
  Result<size_t> read() {
    while (next_ < words_.size()) {
      const std::string_view word = words_[next_];
      if (word.size() < 2 || word.front() != '-') break;
      ++next_;
      if (word == "--") break;
      const Status status =
          word[1] == '-' ? read_long(word.substr(2)) : read_letters(word.substr(1));
      if (!status) return status.error();
    }
    return next_;
  }

 private:
  Status read_long(std::string_view word) {
    const size_t equals = word.find('=');
    const Result<const SbatchOption*> found = find_long(word.substr(0, equals));
    if (!found) return found.error();
    const SbatchOption& option = **found;
    if (equals != std::string_view::npos) {
      if (option.takes == TakesValue::kNo) return option_error(option, "takes no value");
      return set(option, word.substr(equals + 1), draft_);
    }
    return option.takes == TakesValue::kRequired ? set_from_next(option) : set(option, "", draft_);
  }

  // "-n4", "-Hn4", "-n 4".
  Status read_letters(std::string_view letters) {
    while (!letters.empty()) {
      const char letter = letters.front();
      letters.remove_prefix(1);
      const SbatchOption* found = find_letter(letter);
      if (found == nullptr) return Error{std::string("-") + letter + ": is no option of sbatch"};
      if (found->takes == TakesValue::kNo) {
        if (const Status status = set(*found, "", draft_); !status) return status;
        continue;
      }
      const bool from_next = letters.empty() && found->takes == TakesValue::kRequired;
      return from_next ? set_from_next(*found) : set(*found, letters, draft_);
    }
    return Done{};
  }

  Status set_from_next(const SbatchOption& option) {
    if (next_ == words_.size()) return option_error(option, "needs a value");
    return set(option, words_[next_++], draft_);
  }

  const std::vector<std::string>& words_;
  SbatchDraft& draft_;
  size_t next_ = 0;
};

bool is_ours(std::string_view variable) {
  return variable.starts_with("AUSPEX=") || variable.starts_with("AUSPEX_");
}

// --export: ALL, NONE, NIL or a list of NAME and NAME=value, which may hold ALL. Quotes protect
// commas. Of all that, only our own variables are of interest.
std::vector<std::string> exported_variables(const std::string& list) {
  std::vector<std::string> names(1);
  char quote = 0;
  for (const char c : list) {
    if (quote == 0 && c == ',') {
      names.emplace_back();
    } else if (c == '\'' || c == '"') {
      quote = quote == 0 ? c : quote == c ? '\0' : quote;
    } else {
      names.back() += c;
    }
  }
  const bool all = std::find(names.begin(), names.end(), "ALL") != names.end();
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    const std::string name = variable.substr(0, variable.find('='));
    const bool named = std::find(names.begin(), names.end(), name) != names.end();
    if (is_ours(variable) && (all || named)) variables.push_back(variable);
  }
  for (const std::string& name : names) {
    const size_t equals = name.find('=');
    if (!is_ours(name) || equals == std::string::npos) continue;
    std::erase_if(variables, [&](const std::string& variable) {
      return variable.starts_with(name.substr(0, equals + 1));
    });
    variables.push_back(name);
  }
  return variables;
}

// What follows only from all options together.
void settle(SbatchDraft& draft) {
  Submission& s = draft.submission;
  const uint32_t nodes = std::max(s.min_nodes.value_or(1), 1U);
  s.num_tasks = draft.tasks;
  if (!s.num_tasks && s.ntasks_per_node) s.num_tasks = *s.ntasks_per_node * nodes;

  const bool fixed_nodes = s.min_nodes && s.min_nodes == s.max_nodes;
  const uint32_t tasks = s.num_tasks.value_or(fixed_nodes ? nodes : 1);
  s.min_cpus = draft.overcommit ? nodes : tasks * s.cpus_per_task.value_or(1);
  s.pn_min_cpus = draft.min_cpus_per_node;
  if (s.cpus_per_task) s.pn_min_cpus = std::max(s.pn_min_cpus.value_or(0), *s.cpus_per_task);

  const bool both = !draft.gpus_per_node.empty() && !draft.gres.empty();
  s.tres_per_node = draft.gpus_per_node + (both ? "," : "") + draft.gres;
  if (draft.hold) s.priority = 0;
  s.environment = exported_variables(draft.exported);
}

// The command line of apply_command_line; `draft` may already hold what the script says.
Result<std::string> take_command_line(const std::vector<std::string>& words, SbatchDraft& draft) {
  const Result<size_t> options = WordReader(words, draft).read();
  if (!options) return options.error();
  Submission& s = draft.submission;
  s.argv.assign(words.begin() + static_cast<std::ptrdiff_t>(*options), words.end());
  if (!s.argv.empty() && s.argv[0] == ":") {
    return Error{"':' starts another component: one component of a heterogeneous job at a time"};
  }
  if (draft.wrap && !s.argv.empty()) {
    return Error{"--wrap: takes no script and no arguments, but '" + s.argv[0] + "' follows"};
  }
  settle(draft);
  s.submit_line = "sbatch";
  for (const std::string& word : words) s.submit_line += " " + word;
  if (draft.wrap) s.script = "#!/bin/sh\n\n" + *draft.wrap + "\n";
  if (s.script.size() > kMaxScriptBytes) s.script.resize(kMaxScriptBytes);

  const std::string script = s.argv.empty() ? "" : s.argv[0];
  if (s.name.empty()) s.name = draft.wrap ? "wrap" : script.substr(script.rfind('/') + 1);
  if (s.name.empty()) s.name = "sbatch";  // a script from standard input
  return script;
}

// How a line comes apart. In a directive a backslash protects within single quotes too, does not
// protect a blank, never stays, and # starts a comment anywhere.
enum class Quoting : uint8_t { kShell, kDirective };

struct Lexed {
  std::vector<std::string> words;
  char open_quote = 0;  // the one that is never closed
};

bool is_blank(char c) {
  return kBlanks.find(c) != std::string_view::npos;
}

Lexed lex(std::string_view line, Quoting quoting) {
  const bool directive = quoting == Quoting::kDirective;
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == 0 && directive && c == '#') break;
    if (quote == 0 && is_blank(c)) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    const char next = i + 1 < line.size() ? line[i + 1] : '\0';
    const bool quotes = c == quote || (quote == 0 && (c == '"' || c == '\''));
    const bool protects =
        c == '\\' && next != '\0' &&
        (directive ? quote != 0 || !is_blank(next)
                   : quote == 0 || (quote == '"' && std::strchr("\"\\$`", next) != nullptr));
    if (quotes) {
      quote = quote == 0 ? c : '\0';
    } else if (protects) {
      words.back() += line[++i];
    } else if (c != '\\' || !directive) {
      words.back() += c;
    }
  }
  return {std::move(words), quote};
}

Status take_directive(std::string_view line, SbatchDraft& draft) {
  const auto [words, open_quote] = lex(line, Quoting::kDirective);
  if (open_quote != 0) return Error{std::string("unmatched ") + open_quote};
  if (!words.empty() && (words[0] == "hetjob" || words[0] == "packjob")) {
    return Error{words[0] + ": one component of a heterogeneous job at a time"};
  }
  const Result<size_t> options = WordReader(words, draft).read();
  if (!options) return options.error();
  if (*options < words.size()) return Error{"'" + words[*options] + "' is no option"};
  return Done{};
}

// What sbatch itself checks before it sends a script.
std::optional<std::string> script_fault(std::string_view text) {
  if (text.find_first_not_of(kBlanks) == std::string_view::npos) return "the script is empty";
  if (!text.starts_with("#!")) return "the first line must name an interpreter, as in #!/bin/sh";
  if (text.find('\0') != std::string_view::npos) return "the script holds a NUL byte";
  if (text.find("\r\n") != std::string_view::npos) {
    return "the script has DOS line ends (CR LF) instead of LF";
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> apply_command_line(const std::vector<std::string>& words,
                                       Submission& submission) {
  if (submission.submit_time_s == 0) submission.submit_time_s = std::time(nullptr);
  if (submission.user.empty()) submission.user = std::to_string(getuid());
  if (submission.group.empty()) submission.group = std::to_string(getgid());
  SbatchDraft draft(submission);
  return take_command_line(words, draft);
}

Status apply_script(std::string_view text, const std::string& name,
                    const std::vector<std::string>& words, Submission& submission) {
  if (const std::optional<std::string> fault = script_fault(text)) {
    return Error{name + ":1: " + *fault};
  }
  constexpr std::string_view kMark = "#SBATCH";
  SbatchDraft draft(submission);
  std::string_view rest = text;
  for (size_t line_number = 1; !rest.empty(); ++line_number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t first = line.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) continue;
    if (line[first] != '#') break;
    if (!line.starts_with(kMark)) continue;
    const Status status = take_directive(line.substr(kMark.size()), draft);
    if (!status)
      return Error{name + ":" + std::to_string(line_number) + ": " + status.error().message};
  }
  draft.wrap.reset();  // sbatch passes over --wrap in a script
  const Result<std::string> script = take_command_line(words, draft);
  if (!script) return script.error();
  submission.script = text.substr(0, kMaxScriptBytes);
  return Done{};
}

size_t words_of_option(std::string_view word) {
  if (word.size() < 2 || word.front() != '-' || word == "--") return 0;
  if (word[1] == '-') {
    const Result<const SbatchOption*> option = find_long(word.substr(2, word.find('=') - 2));
    const bool alone = !option || (*option)->takes != TakesValue::kRequired;
    return alone || word.find('=') != std::string_view::npos ? 1 : 2;
  }
  for (size_t i = 1; i < word.size(); ++i) {
    const SbatchOption* option = find_letter(word[i]);
    if (option == nullptr || option->takes == TakesValue::kOptional) return 1;
    if (option->takes == TakesValue::kRequired) return i + 1 == word.size() ? 2 : 1;
  }
  return 1;
}

std::vector<std::string> split_words(std::string_view line) {
  return lex(line, Quoting::kShell).words;
}

}  // namespace auspex
