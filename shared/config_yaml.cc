// SPDX-License-Identifier: Apache-2.0
#include "shared/config_yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include "shared/config_keys.h"
#include "shared/printable.h"

namespace auspex {
namespace {

constexpr size_t kMaxFileBytes = size_t{1024} * 1024;
constexpr size_t kMaxRules = 1000;

// Counts documents and keeps nothing. YAML::Load reads the first only and passes over the rest;
// YAML::LoadAll of yaml-cpp 0.7 never ends on a text that begins with ",".
class DocumentCounter final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { ++count, last = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  int count = 0;
  YAML::Mark last;
};

// Levenshtein's distance: insertions, deletions and substitutions from one word to the other.
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      const size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + change});
      diagonal = above;
    }
  }
  return row.back();
}

std::string last_part(const std::string& name) {
  return name.substr(name.rfind('.') + 1);
}

// Reads one document. `prefix` is what stands before a key in errors: "", "rules[1].".
class ConfigReader {
 public:
  ConfigReader(std::string file, Config& config) : file_(std::move(file)), config_(config) {}

  Status read(const YAML::Node& root) {
    if (root.IsNull()) return Done{};  // an empty file: all defaults
    std::vector<ConfigKey> keys = config_keys(config_);
    keys.push_back({"rules", "a list of {match, mode, risk, second_look}", nullptr, nullptr});
    if (Status status = read_mapping(root, "", "", keys); !status) return status;
    return check_guard(root);
  }

 private:
  using Keys = std::vector<ConfigKey>;

  Error error(const YAML::Mark& mark, const std::string& key, const std::string& what,
              const std::string& allowed) const {
    return Error{file_ + ":" + std::to_string(mark.line + 1) + ": " + printable(key) + ": " + what +
                 "; allowed: " + allowed};
  }

  // Between two looks no job may start, near its limit and be killed: three looks must fit into
  // the shortest time that one has.
  Status check_guard(const YAML::Node& root) {
    const uint32_t shortest_min = std::min(config_.guard.lead_min, config_.limits.floor_min);
    if (3 * uint64_t{config_.guard.interval_s} <= 60 * uint64_t{shortest_min}) return Done{};
    const YAML::Node guard = root["guard"], limits = root["limits"];
    return error(guard ? guard.Mark() : limits.Mark(), "guard.interval_s",
                 std::to_string(config_.guard.interval_s) +
                     " is too long: a job could reach its limit between two looks",
                 "at most a third of guard.lead_min and of limits.floor_min, here " +
                     std::to_string(20 * shortest_min) + " s");
  }

  // group: "" or "limits.", which part of the keys the mapping holds.
  Status read_mapping(const YAML::Node& node, const std::string& prefix, const std::string& group,
                      const Keys& keys) {
    std::string place = prefix + group;
    place = place.empty() ? "file" : place.substr(0, place.size() - 1);
    if (!node.IsMap()) {
      return error(node.Mark(), place, "no mapping stands here", names_in(group, keys));
    }
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const YAML::Mark mark = entry.first.Mark();
      if (!entry.first.IsScalar()) {
        return error(mark, place, "a key is not a plain word", names_in(group, keys));
      }
      const std::string name = group + entry.first.Scalar();
      if (!seen.insert(name).second) return error(mark, prefix + name, "stands here twice", "once");
      Status status = read_entry(name, entry.second, mark, prefix, group, keys);
      if (!status) return status;
    }
    return Done{};
  }

  Status read_entry(const std::string& name, const YAML::Node& value, const YAML::Mark& mark,
                    const std::string& prefix, const std::string& group, const Keys& keys) {
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& k) { return k.name == name; });
    if (key == keys.end()) {
      if (!is_group(name, keys)) {
        return error(mark, prefix + name, "unknown key" + suggestion(name, keys),
                     names_in(group, keys));
      }
      if (value.IsMap()) return read_mapping(value, prefix, name + ".", keys);
      return error(mark, prefix + name, "no mapping stands here", names_in(name + ".", keys));
    }
    if (!key->read) return read_rules(value, mark, key->allowed);
    const std::optional<ConfigComplaint> complaint = key->read(value);
    if (!complaint) return Done{};
    return error(complaint->at.value_or(mark), prefix + name, complaint->what, key->allowed);
  }

  Status read_rules(const YAML::Node& node, const YAML::Mark& mark, const std::string& allowed) {
    if (!node.IsSequence()) return error(mark, "rules", "no list stands here", allowed);
    if (node.size() > kMaxRules) {
      return error(mark, "rules", std::to_string(node.size()) + " are too many", "at most 1000");
    }
    for (const YAML::Node& item : node) {
      Rule rule;
      const std::string prefix = "rules[" + std::to_string(config_.rules.size()) + "].";
      const Keys keys = rule_keys(rule);
      if (Status status = read_mapping(item, prefix, "", keys); !status) return status;
      // Without it the rule would silently mean "observe".
      if (!item["mode"]) {
        return error(item.Mark(), prefix + "mode", "is missing", allowed_for("mode", keys));
      }
      config_.rules.push_back(std::move(rule));
    }
    return Done{};
  }

  static bool is_group(const std::string& name, const Keys& keys) {
    return std::any_of(keys.begin(), keys.end(),
                       [&](const ConfigKey& key) { return key.name.starts_with(name + "."); });
  }

  static std::string allowed_for(const std::string& name, const Keys& keys) {
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& k) { return k.name == name; });
    return key->allowed;
  }

  // What may stand in a group: "floor_min, round_min, margin".
  static std::string names_in(const std::string& group, const Keys& keys) {
    std::string names, last;
    for (const ConfigKey& key : keys) {
      if (!key.name.starts_with(group)) continue;
      const std::string rest = key.name.substr(group.size());
      const std::string name = rest.substr(0, rest.find('.'));
      if (name != last) names += (names.empty() ? "" : ", ") + name;
      last = name;  // the keys of a group stand together
    }
    return names;
  }

  // " (did you mean limits.floor_min?)": a misspelt key, or a right one in the wrong place.
  static std::string suggestion(const std::string& name, const Keys& keys) {
    if (name.size() > 64) return "";
    std::string nearest;
    size_t smallest = std::numeric_limits<size_t>::max();
    for (const ConfigKey& key : keys) {
      const size_t distance = std::min(edit_distance(name, key.name),
                                       edit_distance(last_part(name), last_part(key.name)));
      if (distance < smallest) smallest = distance, nearest = key.name;
    }
    // Half a word of changes is another word.
    return smallest * 2 < last_part(name).size() ? " (did you mean " + nearest + "?)" : "";
  }

  std::string file_;
  Config& config_;
};

}  // namespace

Result<Config> parse_config(const std::string& text, const std::string& name) {
  const std::string file = printable(name);
  if (text.size() > kMaxFileBytes) return Error{file + ":1: file: is larger than 1 MiB"};
  if (text.find('\0') != std::string::npos) return Error{file + ":1: file: holds a NUL byte"};
  Config config;
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    DocumentCounter documents;
    while (documents.count < 2 && parser.HandleNextDocument(documents)) {
    }
    if (documents.count > 1) {
      return Error{file + ":" + std::to_string(documents.last.line + 1) +
                   ": file: a second document begins here; allowed: one"};
    }
    Status status = ConfigReader(file, config).read(YAML::Load(text));
    if (!status) return status.error();
  } catch (const YAML::Exception& failure) {  // the library's way to report; it ends here
    return Error{file + ":" + std::to_string(failure.mark.line + 1) +
                 ": syntax: " + printable(failure.msg)};
  }
  return config;
}

Result<Config> load_config(const std::string& path) {
  const auto failed = [&](const std::string& why) { return Error{printable(path) + ": " + why}; };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return failed("is a directory");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return failed(std::string("cannot be opened: ") + std::strerror(errno));
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return failed("cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  return parse_config(text, path);
}

std::vector<std::pair<std::string, std::string>> describe_config(const Config& config) {
  Config copy = config;  // the keys refer to something they could write to
  std::vector<std::pair<std::string, std::string>> lines;
  for (const ConfigKey& key : config_keys(copy)) lines.emplace_back(key.name, key.show());
  for (size_t i = 0; i < copy.rules.size(); ++i) {
    const std::string prefix = "rules[" + std::to_string(i) + "].";
    for (const ConfigKey& key : rule_keys(copy.rules[i])) {
      lines.emplace_back(prefix + key.name, key.show());
    }
  }
  return lines;
}

}  // namespace auspex
