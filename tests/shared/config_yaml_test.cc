// SPDX-License-Identifier: Apache-2.0
#include "shared/config_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace auspex {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string message_for(const std::string& text) {
  const Result<Config> config = parse_config(text, "f.yaml");
  return config.ok() ? "" : config.error().message;
}

Config config_of(const std::string& text) {
  const Result<Config> config = parse_config(text, "f.yaml");
  EXPECT_TRUE(config.ok()) << config.error().message;
  return config.ok() ? config.value() : Config{};
}

const char kShippedFile[] = AUSPEX_SOURCE_DIR "/etc/auspex.yaml";

std::string shipped_text() {
  std::ifstream file(kShippedFile);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ConfigYaml, ShippedFileIsTheDefaults) {
  const Result<Config> config = load_config(kShippedFile);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(describe_config(config.value()), describe_config(Config{}));
}

TEST(ConfigYaml, ShippedFileNamesEveryKey) {
  const std::string text = shipped_text();
  Config with_rule;
  with_rule.rules.resize(1);
  for (const auto& [key, value] : describe_config(with_rule)) {
    const std::string name = key.substr(key.rfind('.') + 1);
    const bool is_match = key.find(".match.") != std::string::npos;
    EXPECT_THAT(text, HasSubstr(is_match ? name : name + ":")) << key;
  }
}

TEST(ConfigYaml, TakesEveryKey) {
  const Config c = config_of(R"(
socket: /tmp/s
deadline_us: 100
backend: cuda
model: /m
mode: hard
risk: 0.5
slurm_user: "64030"
order: {weight: 10000000, shape: linear}
limits: {floor_min: 1, round_min: 1440, margin: 10, when_none_asked: set}
guard:
  lead_min: 1440
  steps: 100
  interval_s: 20
second_look: {mode: observe, per_minute: 6000, per_job: 100}
message: {shortened: "cut to {limit}", soft: s, advised: "{p50} would do"}
history: {state: "", keys: 1048576}
ledger: {path: "", keep_days: 36500}
rules:
  - {match: {partition: debug}, mode: "off"}
  - {match: {account: [bio, chem], user: [a], qos: normal, name: "post-*"},
     mode: guarded, risk: 0.005, second_look: on}
  - mode: soft
mig:
  mode: apply
  headroom: 0
  context_mib: 700.5
  model_dirs: [/home, /scratch]
  partitions: {gpu: a100-40gb}
  types: {1g.5gb: small, 1g.10gb+me: media}
)");
  EXPECT_EQ(c.socket, "/tmp/s");
  EXPECT_EQ(c.deadline_us, 100U);
  EXPECT_EQ(c.backend, Backend::kCuda);
  EXPECT_EQ(c.model, "/m");
  EXPECT_EQ(c.mode, Mode::kHard);
  EXPECT_EQ(c.risk, 0.5);
  EXPECT_EQ(c.slurm_user, "64030");
  EXPECT_EQ(c.order.weight, 10'000'000U);
  EXPECT_EQ(c.order.shape, OrderShape::kLinear);
  EXPECT_EQ(c.limits.floor_min, 1U);
  EXPECT_EQ(c.limits.round_min, 1440U);
  EXPECT_EQ(c.limits.margin, 10);
  EXPECT_EQ(c.guard.lead_min, 1440U);
  EXPECT_EQ(c.guard.steps, 100U);
  EXPECT_EQ(c.guard.interval_s, 20U);
  EXPECT_EQ(c.second_look.mode, LookMode::kObserve);
  EXPECT_EQ(c.second_look.per_minute, 6000U);
  EXPECT_EQ(c.second_look.per_job, 100U);
  EXPECT_EQ(c.rules.at(1).second_look, LookMode::kOn);
  EXPECT_EQ(c.rules.at(0).second_look, std::nullopt);
  EXPECT_EQ(c.limits.when_none_asked, WhenNoneAsked::kSet);
  EXPECT_EQ(c.message.shortened, "cut to {limit}");
  EXPECT_EQ(c.message.soft, "s");
  EXPECT_EQ(c.message.advised, "{p50} would do");
  EXPECT_EQ(c.history.state, "");
  EXPECT_EQ(c.history.keys, 1'048'576U);
  EXPECT_EQ(c.ledger.path, "");
  EXPECT_EQ(c.ledger.keep_days, 36'500U);
  ASSERT_EQ(c.rules.size(), 3U);
  EXPECT_THAT(c.rules[0].match.partition, testing::ElementsAre("debug"));
  EXPECT_EQ(c.rules[0].mode, Mode::kOff);
  EXPECT_FALSE(c.rules[0].risk.has_value());
  EXPECT_THAT(c.rules[1].match.account, testing::ElementsAre("bio", "chem"));
  EXPECT_THAT(c.rules[1].match.user, testing::ElementsAre("a"));
  EXPECT_THAT(c.rules[1].match.qos, testing::ElementsAre("normal"));
  EXPECT_THAT(c.rules[1].match.name, testing::ElementsAre("post-*"));
  EXPECT_EQ(c.rules[1].risk, 0.005);
  EXPECT_EQ(c.rules[2].mode, Mode::kSoft);
  EXPECT_EQ(c.mig.mode, MigMode::kApply);
  EXPECT_EQ(c.mig.headroom, 0);
  EXPECT_EQ(c.mig.context_mib, 700.5);
  EXPECT_THAT(c.mig.model_dirs, testing::ElementsAre("/home", "/scratch"));
  EXPECT_EQ(c.mig.partitions.at("gpu"), "a100-40gb");
  EXPECT_EQ(c.mig.types.at("1g.10gb+me"), "media");

  // A key added to the table and not to this test would still have its default here.
  const auto values = describe_config(c);
  const auto defaults = describe_config(Config{});
  for (size_t i = 0; i < defaults.size(); ++i)
    EXPECT_NE(values[i].second, defaults[i].second) << values[i].first;
}

TEST(ConfigYaml, EmptyFilesAreTheDefaults) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "{}", "~"}) {
    EXPECT_EQ(message_for(text), "") << text;
  }
}

// YAML 1.1 takes a bare off for a boolean; here it is the mode.
TEST(ConfigYaml, TakesBareOff) {
  EXPECT_EQ(config_of("mode: off").mode, Mode::kOff);
  EXPECT_EQ(config_of("mode: 'off'").mode, Mode::kOff);
  EXPECT_EQ(config_of("mig: {mode: off}").mig.mode, MigMode::kOff);
}

TEST(ConfigYaml, TakesAnchors) {
  const Config c = config_of(
      "rules:\n"
      "  - {match: &m {partition: [a, b]}, mode: hard}\n"
      "  - {match: *m, mode: off}\n");
  ASSERT_EQ(c.rules.size(), 2U);
  EXPECT_EQ(c.rules[0].match.partition, c.rules[1].match.partition);
}

struct Mistake {
  const char* text;
  const char* message;
};

constexpr Mistake kMistakes[] = {
    {"\n\nrisk: 1.5", "f.yaml:3: risk: 1.5 is out of range; allowed: 0.0001 to 0.5"},
    {"risk: 0", "f.yaml:1: risk: 0 is out of range; allowed: 0.0001 to 0.5"},
    {"risk: -0.1", "f.yaml:1: risk: -0.1 is out of range; allowed: 0.0001 to 0.5"},
    {"risk: .nan", "f.yaml:1: risk: .nan is not a number; allowed: 0.0001 to 0.5"},
    {"risk: nan", "f.yaml:1: risk: nan is not a number; allowed: 0.0001 to 0.5"},
    {"risk: inf", "f.yaml:1: risk: inf is out of range; allowed: 0.0001 to 0.5"},
    {"risk: 1e999", "f.yaml:1: risk: 1e999 is out of range; allowed: 0.0001 to 0.5"},
    {"risk: '0.1'", "f.yaml:1: risk: 0.1 is a text, not a number; allowed: 0.0001 to 0.5"},
    {"risk: 0,1", "f.yaml:1: risk: 0,1 is not a number; allowed: 0.0001 to 0.5"},
    {"risk:", "f.yaml:1: risk: nothing stands here; allowed: 0.0001 to 0.5"},
    {"risk: ~", "f.yaml:1: risk: nothing stands here; allowed: 0.0001 to 0.5"},
    {"risk: [0.1]", "f.yaml:1: risk: a list stands here; allowed: 0.0001 to 0.5"},
    {"risk: {a: 1}", "f.yaml:1: risk: a mapping stands here; allowed: 0.0001 to 0.5"},
    {"risk: 0.1\nrisk: 0.1", "f.yaml:2: risk: stands here twice; allowed: once"},
    {"deadline_us: 99",
     "f.yaml:1: deadline_us: 99 is out of range; allowed: whole number, 100 to 1000000"},
    {"deadline_us: 1000001",
     "f.yaml:1: deadline_us: 1000001 is out of range; allowed: whole number, 100 to 1000000"},
    {"deadline_us: 4294967396",
     "f.yaml:1: deadline_us: 4294967396 is out of range; allowed: whole number, 100 to 1000000"},
    {"deadline_us: -1",
     "f.yaml:1: deadline_us: -1 is not a whole number; allowed: whole number, 100 to 1000000"},
    {"deadline_us: 2000.5",
     "f.yaml:1: deadline_us: 2000.5 is not a whole number; allowed: whole number, 100 to 1000000"},
    {"deadline_us: 2ms",
     "f.yaml:1: deadline_us: 2ms is not a whole number; allowed: whole number, 100 to 1000000"},
    {"mode: bold",
     "f.yaml:1: mode: bold is not known; allowed: off, observe, advise, soft, guarded, hard"},
    {"mode: Off",
     "f.yaml:1: mode: Off is not known; allowed: off, observe, advise, soft, guarded, hard"},
    {"mode: ''",
     "f.yaml:1: mode: an empty text stands here; allowed: off, observe, advise, soft, guarded, "
     "hard"},
    {"backend: gpu", "f.yaml:1: backend: gpu is not known; allowed: auto, cpu, cuda"},
    {"socket: ''",
     "f.yaml:1: socket: an empty text stands here; allowed: absolute path of at most 107 bytes"},
    {"socket: run/s",
     "f.yaml:1: socket: run/s is not an absolute path; allowed: absolute path of at most 107 "
     "bytes"},
    {"slurm_user: \"a\\nb\"",
     "f.yaml:1: slurm_user: a?b holds a control character; allowed: user name or uid"},
    {"order: 5", "f.yaml:1: order: no mapping stands here; allowed: weight, shape"},
    {"order:", "f.yaml:1: order: no mapping stands here; allowed: weight, shape"},
    {"limits:\n  floor_min: 10\n  roundmin: 5",
     "f.yaml:3: limits.roundmin: unknown key (did you mean limits.round_min?); allowed: floor_min, "
     "round_min, margin, when_none_asked"},
    {"message: {shortened: \"cut to {lmit}\"}",
     "f.yaml:1: message.shortened: {lmit} is not known; allowed: a text with {asked} {limit} "
     "{share} {p50} {mode} {extended}"},
    {"model: /m\nguard: {interval_s: 101}",
     "f.yaml:2: guard.interval_s: 101 is too long: a job could reach its limit between two looks; "
     "allowed: at most a third of guard.lead_min and of limits.floor_min, here 100 s"},
    {"limits: {floor_min: 1}\nguard: {interval_s: 21}",
     "f.yaml:2: guard.interval_s: 21 is too long: a job could reach its limit between two looks; "
     "allowed: at most a third of guard.lead_min and of limits.floor_min, here 20 s"},
    {"limits: {margin: 1, margin: 2}", "f.yaml:1: limits.margin: stands here twice; allowed: once"},
    {"? [a]\n: b",
     "f.yaml:1: file: a key is not a plain word; allowed: socket, deadline_us, backend, model, "
     "mode, "
     "risk, slurm_user, order, limits, guard, second_look, message, history, ledger, mig, rules"},
    {"- a",
     "f.yaml:1: file: no mapping stands here; allowed: socket, deadline_us, backend, model, mode, "
     "risk, slurm_user, order, limits, guard, second_look, message, history, ledger, mig, rules"},
    {"a: 1\n---\nb: 1", "f.yaml:2: file: a second document begins here; allowed: one"},
    {", a", "f.yaml:1: file: a second document begins here; allowed: one"},
    {"rules: {}",
     "f.yaml:1: rules: no list stands here; allowed: a list of {match, mode, risk, second_look}"},
    {"rules:",
     "f.yaml:1: rules: no list stands here; allowed: a list of {match, mode, risk, second_look}"},
    {"rules:\n  - off",
     "f.yaml:2: rules[0]: no mapping stands here; allowed: match, mode, risk, second_look"},
    {"rules:\n  - {risk: 0.1}",
     "f.yaml:2: rules[0].mode: is missing; allowed: off, observe, advise, soft, guarded, hard"},
    {"rules:\n  - mode: off\n  - mode: off\n    match:\n      partition: [a,\n        '']",
     "f.yaml:6: rules[1].match.partition: an empty text stands here; allowed: a text or a list of "
     "at "
     "most 1000"},
    {"rules: [{match: {partition: []}, mode: off}]",
     "f.yaml:1: rules[0].match.partition: an empty list stands here (leave the key out); allowed: "
     "a "
     "text or a list of at most 1000"},
    {"rules: [{match: {partiton: x}, mode: off}]",
     "f.yaml:1: rules[0].match.partiton: unknown key (did you mean match.partition?); allowed: "
     "partition, account, user, qos, name"},
    {"rules: [{match: debug, mode: off}]",
     "f.yaml:1: rules[0].match: no mapping stands here; allowed: partition, account, user, qos, "
     "name"},
    {"rules: [{mode: off, risk: 0.6}]",
     "f.yaml:1: rules[0].risk: 0.6 is out of range; allowed: 0.0001 to 0.5"},
    {"mig:\n  types:\n    1g.5gb: a\n    big: b",
     "f.yaml:4: mig.types: big is not known; allowed: MIG profile (1g.5gb): GRES type"},
    {"mig: {types: {1g.5gb: a, 1g.5gb: b}}",
     "f.yaml:1: mig.types: 1g.5gb stands here twice; allowed: MIG profile (1g.5gb): GRES type"},
    {"mig: {types: {1g.5gb: }}",
     "f.yaml:1: mig.types: 1g.5gb: nothing stands here; allowed: MIG profile (1g.5gb): GRES type"},
    {"mig: {partitions: [gpu]}",
     "f.yaml:1: mig.partitions: no mapping stands here; allowed: partition: one of a100-40gb "
     "a100-80gb a30-24gb h100-80gb h100-94gb gh200-96gb h200-141gb b200-180gb rtx-pro-6000-96gb"},
    {"mig:\n  partitions:\n    gpu: a100",
     "f.yaml:3: mig.partitions: gpu: a100 is not known; allowed: partition: one of a100-40gb "
     "a100-80gb a30-24gb h100-80gb h100-94gb gh200-96gb h200-141gb b200-180gb rtx-pro-6000-96gb"},
    {"mig: {model_dirs: /home}",
     "f.yaml:1: mig.model_dirs: no list stands here; allowed: a list of at most 1000 absolute "
     "paths"},
    {"mig:\n  model_dirs:\n    - /a\n    - b",
     "f.yaml:4: mig.model_dirs: b is not an absolute path; allowed: a list of at most 1000 "
     "absolute paths"},
};

TEST(ConfigYaml, NamesFileLineKeyValueAndWhatIsAllowed) {
  for (const Mistake& mistake : kMistakes) EXPECT_EQ(message_for(mistake.text), mistake.message);
}

TEST(ConfigYaml, SuggestsTheNearestKey) {
  const auto suggested = [](const std::string& key) {
    const std::string message = message_for(key + ": 1");
    const size_t from = message.find("did you mean ");
    if (from == std::string::npos) return std::string("nothing");
    return message.substr(from + 13, message.find('?') - from - 13);
  };
  EXPECT_EQ(suggested("rsik"), "nothing");  // two changes in four letters: another word
  EXPECT_EQ(suggested("risks"), "risk");
  EXPECT_EQ(suggested("rule"), "rules");
  EXPECT_EQ(suggested("deadline_ms"), "deadline_us");
  EXPECT_EQ(suggested("floor_min"), "limits.floor_min");
  EXPECT_EQ(suggested("slurmuser"), "slurm_user");
  EXPECT_EQ(suggested("colour"), "nothing");
  EXPECT_EQ(suggested(std::string(100'000, 'x')), "nothing");
}

TEST(ConfigYaml, SyntaxErrorsNameTheLine) {
  EXPECT_THAT(message_for("risk: 0.1\nmode: [off\n"), StartsWith("f.yaml:3: syntax: "));
  EXPECT_THAT(message_for("a: b: c"), StartsWith("f.yaml:1: syntax: "));
  EXPECT_THAT(message_for("risk: *nowhere"), StartsWith("f.yaml:1: syntax: "));
  EXPECT_THAT(message_for("\tmode: off"), StartsWith("f.yaml:1: "));
  EXPECT_THAT(message_for("mode: \"off"), StartsWith("f.yaml:1: syntax: "));
}

TEST(ConfigYaml, RefusesWhatIsTooMuch) {
  EXPECT_EQ(message_for(std::string(1024 * 1024 + 1, '#')), "f.yaml:1: file: is larger than 1 MiB");
  EXPECT_EQ(message_for("#" + std::string(1024 * 1024 - 1, 'x')), "");
  EXPECT_NE(message_for("rules: " + std::string(500'000, '[')), "");
  EXPECT_NE(message_for("rules: " + std::string(500'000, '{')), "");
  std::string steps;
  for (int i = 0; i < 2000; ++i) steps += std::string(static_cast<size_t>(i) % 1000, ' ') + "- \n";
  EXPECT_NE(message_for("rules:\n" + steps), "");
  std::string rules = "rules:\n";
  for (int i = 0; i < 1001; ++i) rules += "- {mode: off}\n";
  EXPECT_EQ(message_for(rules), "f.yaml:1: rules: 1001 are too many; allowed: at most 1000");
  std::string list = "a";
  for (int i = 0; i < 1000; ++i) list += ",a";
  EXPECT_THAT(message_for("rules: [{match: {user: [" + list + "]}, mode: off}]"),
              HasSubstr("rules[0].match.user: 1001 are too many"));
  EXPECT_THAT(message_for("slurm_user: " + std::string(256, 'a')), HasSubstr("is too long"));
  EXPECT_EQ(message_for("slurm_user: " + std::string(255, 'a')), "");
  EXPECT_THAT(message_for("socket: /" + std::string(107, 'a')), HasSubstr("is too long"));
  EXPECT_EQ(message_for("socket: /" + std::string(106, 'a')), "");
  EXPECT_EQ(message_for(std::string("risk: 0.1\n\0", 11)), "f.yaml:1: file: holds a NUL byte");
}

// Each alias doubles what the one before stands for; nothing may expand that.
TEST(ConfigYaml, SurvivesAnchorsThatMultiply) {
  std::string text = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 60; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    text +=
        "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last + ", " + last + "]\n";
  }
  EXPECT_THAT(message_for(text), HasSubstr("a0: unknown key"));
  EXPECT_NE(message_for("rules: &r [*r]"), "");
}

// Whatever stands in a file, an error is one line.
TEST(ConfigYaml, ErrorsAreOneLine) {
  for (const char* text : {"\"a\\nb\": 1", "mode: \"x\\ny\"", "risk: |\n  a\n  b\n", "mode: [\n\n",
                           "socket: \"/\\x07\""}) {
    const std::string message = message_for(text);
    EXPECT_NE(message, "") << text;
    for (const char c : message) EXPECT_GE(c, ' ') << message;
  }
}

// A file cut short while it is written must not crash anyone.
TEST(ConfigYaml, SurvivesEveryTruncationOfTheShippedFile) {
  const std::string text = shipped_text();
  ASSERT_GT(text.size(), 1000U);
  for (size_t size = 0; size <= text.size(); size += 7) {
    const std::string message = message_for(text.substr(0, size));
    EXPECT_TRUE(message.empty() || message.starts_with("f.yaml:")) << size << ": " << message;
  }
}

TEST(LoadConfig, NamesFilesThatCannotBeRead) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir());
  const auto message = [](const std::string& path) {
    const Result<Config> config = load_config(path);
    return config.ok() ? "" : config.error().message;
  };
  EXPECT_EQ(message((folder / "no-such-file").string()),
            (folder / "no-such-file").string() + ": cannot be opened: No such file or directory");
  EXPECT_EQ(message("/"), "/: is a directory");
  EXPECT_EQ(message(""), ": cannot be opened: No such file or directory");
  EXPECT_EQ(message("/dev/zero"), "/dev/zero:1: file: is larger than 1 MiB");
  EXPECT_EQ(message("/dev/null"), "");
}

}  // namespace
}  // namespace auspex
