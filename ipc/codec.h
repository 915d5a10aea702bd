// SPDX-License-Identifier: Apache-2.0
// Between our types and the bytes of wire.fbs. Decoding verifies first and then checks meaning;
// every size and offset of a hostile message is caught there.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ipc/protocol.h"
#include "shared/decision.h"
#include "shared/job_event.h"
#include "shared/limit_change.h"
#include "shared/result.h"
#include "shared/site.h"
#include "shared/submission.h"

namespace auspex::ipc {

struct CallReport {
  uint64_t instance = 0;
  uint32_t last_call_us = 0;
  uint64_t answered = 0;
  uint64_t skipped = 0;
  uint64_t timeouts = 0;
  uint64_t failures = 0;
  uint64_t refused = 0;

  bool operator==(const CallReport&) const = default;
};

struct DecideRequest {
  Submission submission;
  CallReport report;
  uint32_t slurm_version = 0;
};

struct DecideReply {
  Edits edits;
  std::chrono::microseconds deadline = kDefaultDeadline;
};

// In the order in which they happened; at most kMaxJobEvents.
struct EventsRequest {
  std::vector<JobEvent> events;
};
struct EventsReply {
  uint32_t accepted = 0;
};

// At most kMaxPartitions and kMaxBlockages in its site; see wire.fbs.
struct GuardReport {
  bool first = false;
  std::optional<std::string> fault;
  std::optional<Site> site;
  uint64_t jobs = 0, guarded = 0, extended = 0, left_to_others = 0, failed = 0;
  std::optional<int64_t> shortest_lead_s;
  double sweep_ms = 0;
  std::vector<LimitChange> changes = {};  // at most kMaxChanges
};
struct GuardReply {};

struct LookRequest {
  uint32_t job_id = 0;
  Submission submission;
  uint32_t limit_min = 0;
  int32_t site_factor = 0;
  int64_t now_s = 0;
};
struct LookReply {
  std::optional<Edits> edits;
  uint32_t to_min = 0;
};

struct SiteRequest {};
struct SiteReply {
  Site site;
};

struct StatusRequest {};
struct StatusReply {
  std::string json;
};
struct ErrorReply {
  std::string reason;
};

using Request = std::variant<DecideRequest, StatusRequest, EventsRequest, GuardReport, SiteRequest,
                             LookRequest>;
using Reply = std::variant<DecideReply, StatusReply, ErrorReply, EventsReply, GuardReply, SiteReply,
                           LookReply>;

template <class Body>
struct Message {
  uint64_t id = 0;
  Body body;
};

// Errors of both decoders: too large, not verifiable, other version (both named), a reply where a
// request is due; of requests also: more texts, events or a larger sum of texts than the protocol
// has, times and kinds that there are not. Errors of both encoders: larger than kMaxMessageBytes.
Result<std::vector<uint8_t>> encode(const Message<Request>& message);
Result<std::vector<uint8_t>> encode(const Message<Reply>& message);
Result<Message<Request>> decode_request(std::span<const uint8_t> bytes);
Result<Message<Reply>> decode_reply(std::span<const uint8_t> bytes);

}  // namespace auspex::ipc
