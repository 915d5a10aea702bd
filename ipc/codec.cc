// SPDX-License-Identifier: Apache-2.0
#include "ipc/codec.h"

#include <algorithm>

#include "ipc/site_codec.h"
#include "ipc/submission_codec.h"
#include "ipc/wire_generated.h"

namespace auspex::ipc {
namespace {

using flatbuffers::FlatBufferBuilder;
using TextOffset = flatbuffers::Offset<flatbuffers::String>;

TextOffset put(FlatBufferBuilder& builder, const std::optional<std::string>& text) {
  return text ? builder.CreateString(*text) : 0;
}

std::optional<std::string> get_optional(const flatbuffers::String* text) {
  return text ? std::optional<std::string>(text->str()) : std::nullopt;
}

template <class T>
std::optional<T> get(const flatbuffers::Optional<T>& value) {
  return value ? std::optional<T>(*value) : std::nullopt;
}

flatbuffers::Offset<wire::JobEvent> put(FlatBufferBuilder& b, const JobEvent& event) {
  const auto submission = put_submission(b, event.submission);
  return wire::CreateJobEvent(b, static_cast<uint8_t>(event.kind), submission, event.start_s,
                              event.end_s, event.runtime_s, static_cast<uint8_t>(event.ending),
                              event.job_id, event.array_id);
}

Result<JobEvent> get(const wire::JobEvent& in) {
  if (in.kind() > static_cast<uint8_t>(EventKind::kEnded)) {
    return Error{"event kind " + std::to_string(in.kind()) + " is not known"};
  }
  if (in.ending() > static_cast<uint8_t>(Ending::kAtLimit)) {
    return Error{"ending " + std::to_string(in.ending()) + " is not known"};
  }
  if (!is_time(in.start_s()) || !is_time(in.end_s())) return Error{"event time is out of range"};
  if (!(in.runtime_s() >= 0 && in.runtime_s() <= static_cast<double>(kMaxTimeS))) {
    return Error{"runtime is out of range"};
  }
  return JobEvent{static_cast<EventKind>(in.kind()),
                  get_submission(*in.submission()),
                  in.start_s(),
                  in.end_s(),
                  in.runtime_s(),
                  static_cast<Ending>(in.ending()),
                  in.job_id(),
                  in.array_id()};
}

Result<EventsRequest> get(const wire::EventsRequest& in) {
  if (in.events()->size() > kMaxJobEvents) {
    return Error{std::to_string(in.events()->size()) + " events, at most " +
                 std::to_string(kMaxJobEvents)};
  }
  size_t bytes = 0;
  EventsRequest request;
  request.events.reserve(in.events()->size());
  for (const auto* event : *in.events()) {
    if (Status fits = add_text_bytes(*event->submission(), bytes); !fits) return fits.error();
    Result<JobEvent> known = get(*event);
    if (!known) return known.error();
    request.events.push_back(std::move(*known));
  }
  return request;
}

Result<LookRequest> get(const wire::LookRequest& in) {
  size_t bytes = 0;
  if (Status fits = add_text_bytes(*in.submission(), bytes); !fits) return fits.error();
  if (!is_time(in.now_s())) return Error{"time of a look is out of range"};
  return LookRequest{in.job_id(), get_submission(*in.submission()), in.limit_min(),
                     in.site_factor(), in.now_s()};
}

flatbuffers::Offset<wire::Edits> put(FlatBufferBuilder& b, const Edits& edits) {
  const auto tres_per_job = put(b, edits.tres_per_job), tres_per_node = put(b, edits.tres_per_node),
             tres_per_socket = put(b, edits.tres_per_socket),
             tres_per_task = put(b, edits.tres_per_task), comment = put(b, edits.comment),
             admin_comment = put(b, edits.admin_comment), message = put(b, edits.message);
  wire::EditsBuilder out(b);
  if (edits.time_limit_min) out.add_time_limit_min(*edits.time_limit_min);
  if (edits.time_min_min) out.add_time_min_min(*edits.time_min_min);
  if (edits.site_factor) out.add_site_factor(*edits.site_factor);
  out.add_tres_per_job(tres_per_job);
  out.add_tres_per_node(tres_per_node);
  out.add_tres_per_socket(tres_per_socket);
  out.add_tres_per_task(tres_per_task);
  out.add_comment(comment);
  out.add_admin_comment(admin_comment);
  out.add_message(message);
  return out.Finish();
}

Edits get(const wire::Edits& in) {
  Edits edits;
  edits.time_limit_min = get(in.time_limit_min());
  edits.time_min_min = get(in.time_min_min());
  edits.site_factor = get(in.site_factor());
  edits.tres_per_job = get_optional(in.tres_per_job());
  edits.tres_per_node = get_optional(in.tres_per_node());
  edits.tres_per_socket = get_optional(in.tres_per_socket());
  edits.tres_per_task = get_optional(in.tres_per_task());
  edits.comment = get_optional(in.comment());
  edits.admin_comment = get_optional(in.admin_comment());
  edits.message = get_optional(in.message());
  return edits;
}

// A body's type and offset, as a union wants them.
struct BodyOffset {
  wire::Body type;
  flatbuffers::Offset<void> offset;
};

BodyOffset put(FlatBufferBuilder& b, const DecideRequest& request) {
  const auto submission = put_submission(b, request.submission);
  const CallReport& r = request.report;
  const auto report = wire::CreateCallReport(b, r.instance, r.last_call_us, r.answered, r.skipped,
                                             r.timeouts, r.failures, r.refused);
  return {wire::Body::DecideRequest,
          wire::CreateDecideRequest(b, submission, report, request.slurm_version).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const DecideReply& reply) {
  const auto edits = put(b, reply.edits);
  const auto deadline_us = static_cast<uint32_t>(reply.deadline.count());
  return {wire::Body::DecideReply, wire::CreateDecideReply(b, edits, deadline_us).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const EventsRequest& request) {
  std::vector<flatbuffers::Offset<wire::JobEvent>> events;
  events.reserve(request.events.size());
  for (const JobEvent& event : request.events) events.push_back(put(b, event));
  return {wire::Body::EventsRequest, wire::CreateEventsRequest(b, b.CreateVector(events)).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const EventsReply& reply) {
  return {wire::Body::EventsReply, wire::CreateEventsReply(b, reply.accepted).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const GuardReport& report) {
  return {wire::Body::GuardReport, put_guard_report(b, report).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const GuardReply&) {
  return {wire::Body::GuardReply, wire::CreateGuardReply(b).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const LookRequest& request) {
  const auto submission = put_submission(b, request.submission);
  return {wire::Body::LookRequest,
          wire::CreateLookRequest(b, request.job_id, submission, request.limit_min,
                                  request.site_factor, request.now_s)
              .Union()};
}

BodyOffset put(FlatBufferBuilder& b, const LookReply& reply) {
  const auto edits = reply.edits ? put(b, *reply.edits) : 0;
  return {wire::Body::LookReply, wire::CreateLookReply(b, edits, reply.to_min).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const SiteRequest&) {
  return {wire::Body::SiteRequest, wire::CreateSiteRequest(b).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const SiteReply& reply) {
  return {wire::Body::SiteReply, put_site_reply(b, reply).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const StatusRequest&) {
  return {wire::Body::StatusRequest, wire::CreateStatusRequest(b).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const StatusReply& reply) {
  return {wire::Body::StatusReply, wire::CreateStatusReply(b, b.CreateString(reply.json)).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const ErrorReply& reply) {
  return {wire::Body::ErrorReply, wire::CreateErrorReply(b, b.CreateString(reply.reason)).Union()};
}

template <class Body>
Result<std::vector<uint8_t>> encode_envelope(const Message<Body>& message) {
  FlatBufferBuilder builder(4096);
  const BodyOffset body = std::visit(
      [&builder](const auto& alternative) { return put(builder, alternative); }, message.body);
  builder.FinishSizePrefixed(
      wire::CreateEnvelope(builder, kProtocolVersion, message.id, body.type, body.offset),
      wire::EnvelopeIdentifier());
  if (builder.GetSize() > kMaxMessageBytes) {
    return Error{"message of " + std::to_string(builder.GetSize()) +
                 " bytes is over the limit of " + std::to_string(kMaxMessageBytes)};
  }
  return std::vector<uint8_t>(builder.GetBufferPointer(),
                              builder.GetBufferPointer() + builder.GetSize());
}

Result<const wire::Envelope*> verified(std::span<const uint8_t> bytes) {
  if (bytes.size() > kMaxMessageBytes) {
    return Error{"message is over " + std::to_string(kMaxMessageBytes) + " bytes"};
  }
  // No table of ours nests deeper than 4; the number of tables is bounded: an event has two, a
  // report one for each partition, blockage and change.
  // The size in front catches what was cut within the padding at the end, too.
  constexpr size_t kMaxTables =
      16 + std::max(2 * kMaxJobEvents, kMaxPartitions + kMaxBlockages + kMaxChanges);
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), /*max_depth=*/8, kMaxTables);
  constexpr size_t kPrefix = sizeof(flatbuffers::uoffset_t);
  if (bytes.size() < kPrefix ||
      flatbuffers::GetPrefixedSize(bytes.data()) != bytes.size() - kPrefix ||
      !wire::VerifySizePrefixedEnvelopeBuffer(verifier)) {
    return Error{"message of " + std::to_string(bytes.size()) + " bytes is not a valid envelope"};
  }
  const wire::Envelope* envelope = wire::GetSizePrefixedEnvelope(bytes.data());
  if (envelope->version() != kProtocolVersion) {
    return Error{"protocol version " + std::to_string(envelope->version()) + ", this side speaks " +
                 std::to_string(kProtocolVersion)};
  }
  return envelope;
}

}  // namespace

Result<std::vector<uint8_t>> encode(const Message<Request>& message) {
  return encode_envelope(message);
}

Result<std::vector<uint8_t>> encode(const Message<Reply>& message) {
  return encode_envelope(message);
}

Result<Message<Request>> decode_request(std::span<const uint8_t> bytes) {
  const auto envelope = verified(bytes);
  if (!envelope) return envelope.error();
  // Filled in place: GCC 12 warns of the vector's move when it inlines the message's.
  Result<Message<Request>> message = Message<Request>{};
  message->id = (*envelope)->id();
  if ((*envelope)->body_as_StatusRequest()) {
    message->body.emplace<StatusRequest>();
  } else if ((*envelope)->body_as_SiteRequest()) {
    message->body.emplace<SiteRequest>();
  } else if (const auto* told = (*envelope)->body_as_EventsRequest()) {
    Result<EventsRequest> events = get(*told);
    if (!events) return events.error();
    message->body.emplace<EventsRequest>(std::move(*events));
  } else if (const auto* look = (*envelope)->body_as_LookRequest()) {
    Result<LookRequest> known = get(*look);
    if (!known) return known.error();
    message->body.emplace<LookRequest>(std::move(*known));
  } else if (const auto* report = (*envelope)->body_as_GuardReport()) {
    Result<GuardReport> known = get_guard_report(*report);
    if (!known) return known.error();
    message->body.emplace<GuardReport>(std::move(*known));
  } else if (const auto* decide = (*envelope)->body_as_DecideRequest()) {
    size_t text_bytes = 0;
    if (Status fits = add_text_bytes(*decide->submission(), text_bytes); !fits) {
      return fits.error();
    }
    auto& request = std::get<DecideRequest>(message->body);  // what a Request is at first
    request.submission = get_submission(*decide->submission());
    request.slurm_version = decide->slurm_version();
    if (const auto* r = decide->report()) {
      request.report = {r->instance(), r->last_call_us(), r->answered(), r->skipped(),
                        r->timeouts(), r->failures(),     r->refused()};
    }
  } else {
    return Error{"not a request"};
  }
  return message;
}

Result<Message<Reply>> decode_reply(std::span<const uint8_t> bytes) {
  const auto envelope = verified(bytes);
  if (!envelope) return envelope.error();
  Result<Message<Reply>> message = Message<Reply>{};  // as in decode_request
  message->id = (*envelope)->id();
  Reply& body = message->body;
  if (const auto* decide = (*envelope)->body_as_DecideReply()) {
    body = DecideReply{get(*decide->edits()), std::chrono::microseconds(decide->deadline_us())};
  } else if (const auto* status = (*envelope)->body_as_StatusReply()) {
    body.emplace<StatusReply>(status->json()->str());
  } else if (const auto* refusal = (*envelope)->body_as_ErrorReply()) {
    body.emplace<ErrorReply>(refusal->reason()->str());
  } else if (const auto* events = (*envelope)->body_as_EventsReply()) {
    body.emplace<EventsReply>(events->accepted());
  } else if ((*envelope)->body_as_GuardReply()) {
    body.emplace<GuardReply>();
  } else if (const auto* look = (*envelope)->body_as_LookReply()) {
    auto& reply = body.emplace<LookReply>();
    if (look->edits()) reply.edits = get(*look->edits());
    reply.to_min = look->to_min();
  } else if (const auto* told = (*envelope)->body_as_SiteReply()) {
    Result<SiteReply> site = get_site_reply(*told);
    if (!site) return site.error();
    body.emplace<SiteReply>(std::move(*site));
  } else {
    return Error{"not a reply"};
  }
  return message;
}

}  // namespace auspex::ipc
