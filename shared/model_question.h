// SPDX-License-Identifier: Apache-2.0
// What the daemon and the process that reads users' models say to each other, one message each way
// on a SOCK_SEQPACKET of their own. Whoever reads a strange file is not believed: what it says is
// checked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "shared/model_need.h"

namespace auspex {

inline constexpr size_t kMaxQuestionBytes = 8192;

// What stat says of a file: another one has another.
struct ModelIdentity {
  uint64_t device = 0, inode = 0, bytes = 0;
  int64_t modified_ns = 0;

  bool operator==(const ModelIdentity&) const = default;
};

enum class QuestionKind : uint8_t {
  kRead,   // what the model needs
  kCheck,  // whether the file is still this one
};

struct ModelQuestion {
  uint64_t id = 0;
  QuestionKind kind = QuestionKind::kRead;
  uint32_t uid = 0, gid = 0;  // whose rights count
  ModelIdentity identity;     // of kCheck
  ModelRun run;

  bool operator==(const ModelQuestion&) const = default;
};

struct ModelReply {
  uint64_t id = 0;
  bool same = false;       // to kCheck
  ModelIdentity identity;  // to kRead: of what was read
  ModelAnswer answer;
};

// nullopt: longer than kMaxQuestionBytes.
std::optional<std::string> encode(const ModelQuestion& question);
std::string encode(const ModelReply& reply);
// nullopt: no such message, or figures that there cannot be.
std::optional<ModelQuestion> decode_question(std::span<const char> bytes);
std::optional<ModelReply> decode_reply(std::span<const char> bytes);

}  // namespace auspex
