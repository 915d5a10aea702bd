// SPDX-License-Identifier: Apache-2.0
#include "ipc/codec.h"

#include <charconv>
#include <limits>

#include "ipc/wire_generated.h"

namespace auspex::ipc {
namespace {

using flatbuffers::FlatBufferBuilder;
using TextOffset = flatbuffers::Offset<flatbuffers::String>;
using TextsOffset = flatbuffers::Offset<flatbuffers::Vector<TextOffset>>;

TextOffset put(FlatBufferBuilder& builder, const std::string& text) {
  return text.empty() ? 0 : builder.CreateString(text);
}

TextOffset put(FlatBufferBuilder& builder, const std::optional<std::string>& text) {
  return text ? builder.CreateString(*text) : 0;
}

TextsOffset put(FlatBufferBuilder& builder, const std::vector<std::string>& texts) {
  return texts.empty() ? 0 : builder.CreateVectorOfStrings(texts);
}

std::string get(const flatbuffers::String* text) {
  return text ? text->str() : std::string();
}

std::optional<std::string> get_optional(const flatbuffers::String* text) {
  return text ? std::optional<std::string>(text->str()) : std::nullopt;
}

std::vector<std::string> get(const flatbuffers::Vector<TextOffset>* texts) {
  std::vector<std::string> list;
  if (texts == nullptr) return list;
  list.reserve(texts->size());
  for (const auto* text : *texts) list.push_back(get(text));
  return list;
}

template <class T>
std::optional<T> get(const flatbuffers::Optional<T>& value) {
  return value ? std::optional<T>(*value) : std::nullopt;
}

// A uid that is not a number (offline histories name users) has no place on the wire: nobody.
uint32_t to_id(const std::string& text) {
  uint32_t id = std::numeric_limits<uint32_t>::max();
  std::from_chars(text.data(), text.data() + text.size(), id);
  return id;
}

flatbuffers::Offset<wire::Submission> put(FlatBufferBuilder& b, const Submission& s) {
  const auto account = put(b, s.account), partition = put(b, s.partition), qos = put(b, s.qos),
             name = put(b, s.name), work_dir = put(b, s.work_dir),
             submit_line = put(b, s.submit_line), features = put(b, s.features),
             reservation = put(b, s.reservation), dependency = put(b, s.dependency),
             licenses = put(b, s.licenses), array = put(b, s.array), wckey = put(b, s.wckey),
             comment = put(b, s.comment), admin_comment = put(b, s.admin_comment),
             tres_per_job = put(b, s.tres_per_job), tres_per_node = put(b, s.tres_per_node),
             tres_per_socket = put(b, s.tres_per_socket), tres_per_task = put(b, s.tres_per_task),
             cpus_per_tres = put(b, s.cpus_per_tres), mem_per_tres = put(b, s.mem_per_tres),
             script = put(b, s.script);
  const auto argv = put(b, s.argv), environment = put(b, s.environment);

  wire::SubmissionBuilder out(b);
  out.add_interactive(s.kind == SubmissionKind::kInteractive);
  out.add_submit_time_s(s.submit_time_s);
  out.add_user_id(to_id(s.user));
  out.add_group_id(to_id(s.group));
  out.add_account(account);
  out.add_partition(partition);
  out.add_qos(qos);
  out.add_name(name);
  out.add_work_dir(work_dir);
  out.add_submit_line(submit_line);
  out.add_features(features);
  out.add_reservation(reservation);
  out.add_dependency(dependency);
  out.add_licenses(licenses);
  out.add_array(array);
  out.add_wckey(wckey);
  out.add_comment(comment);
  out.add_admin_comment(admin_comment);
  out.add_tres_per_job(tres_per_job);
  out.add_tres_per_node(tres_per_node);
  out.add_tres_per_socket(tres_per_socket);
  out.add_tres_per_task(tres_per_task);
  out.add_cpus_per_tres(cpus_per_tres);
  out.add_mem_per_tres(mem_per_tres);
  out.add_argv(argv);
  out.add_environment(environment);
  out.add_script(script);
  if (s.time_limit_min) out.add_time_limit_min(*s.time_limit_min);
  if (s.time_min_min) out.add_time_min_min(*s.time_min_min);
  if (s.num_tasks) out.add_num_tasks(*s.num_tasks);
  if (s.cpus_per_task) out.add_cpus_per_task(*s.cpus_per_task);
  if (s.ntasks_per_node) out.add_ntasks_per_node(*s.ntasks_per_node);
  if (s.min_cpus) out.add_min_cpus(*s.min_cpus);
  if (s.pn_min_cpus) out.add_pn_min_cpus(*s.pn_min_cpus);
  if (s.min_nodes) out.add_min_nodes(*s.min_nodes);
  if (s.max_nodes) out.add_max_nodes(*s.max_nodes);
  if (s.memory_per_node_mib) out.add_memory_per_node_mib(*s.memory_per_node_mib);
  if (s.memory_per_cpu_mib) out.add_memory_per_cpu_mib(*s.memory_per_cpu_mib);
  if (s.begin_time_s) out.add_begin_time_s(*s.begin_time_s);
  if (s.deadline_s) out.add_deadline_s(*s.deadline_s);
  if (s.nice) out.add_nice(*s.nice);
  if (s.priority) out.add_priority(*s.priority);
  out.add_warn_time_s(s.warn_time_s);
  out.add_warn_signal(s.warn_signal);
  out.add_exclusive(s.exclusive);
  out.add_requeue(s.requeue);
  return out.Finish();
}

Submission get(const wire::Submission& in) {
  Submission s;
  s.kind = in.interactive() ? SubmissionKind::kInteractive : SubmissionKind::kBatch;
  s.submit_time_s = in.submit_time_s();
  s.user = std::to_string(in.user_id());
  s.group = std::to_string(in.group_id());
  s.account = get(in.account());
  s.partition = get(in.partition());
  s.qos = get(in.qos());
  s.name = get(in.name());
  s.work_dir = get(in.work_dir());
  s.submit_line = get(in.submit_line());
  s.features = get(in.features());
  s.reservation = get(in.reservation());
  s.dependency = get(in.dependency());
  s.licenses = get(in.licenses());
  s.array = get(in.array());
  s.wckey = get(in.wckey());
  s.comment = get(in.comment());
  s.admin_comment = get(in.admin_comment());
  s.tres_per_job = get(in.tres_per_job());
  s.tres_per_node = get(in.tres_per_node());
  s.tres_per_socket = get(in.tres_per_socket());
  s.tres_per_task = get(in.tres_per_task());
  s.cpus_per_tres = get(in.cpus_per_tres());
  s.mem_per_tres = get(in.mem_per_tres());
  s.argv = get(in.argv());
  s.environment = get(in.environment());
  s.script = get(in.script());
  s.time_limit_min = get(in.time_limit_min());
  s.time_min_min = get(in.time_min_min());
  s.num_tasks = get(in.num_tasks());
  s.cpus_per_task = get(in.cpus_per_task());
  s.ntasks_per_node = get(in.ntasks_per_node());
  s.min_cpus = get(in.min_cpus());
  s.pn_min_cpus = get(in.pn_min_cpus());
  s.min_nodes = get(in.min_nodes());
  s.max_nodes = get(in.max_nodes());
  s.memory_per_node_mib = get(in.memory_per_node_mib());
  s.memory_per_cpu_mib = get(in.memory_per_cpu_mib());
  s.begin_time_s = get(in.begin_time_s());
  s.deadline_s = get(in.deadline_s());
  s.nice = get(in.nice());
  s.priority = get(in.priority());
  s.warn_time_s = in.warn_time_s();
  s.warn_signal = in.warn_signal();
  s.exclusive = in.exclusive();
  s.requeue = in.requeue();
  return s;
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
  const auto submission = put(b, request.submission);
  const CallReport& r = request.report;
  const auto report =
      wire::CreateCallReport(b, r.last_call_us, r.skipped, r.timeouts, r.failures, r.refused);
  return {wire::Body::DecideRequest,
          wire::CreateDecideRequest(b, submission, report, request.slurm_version).Union()};
}

BodyOffset put(FlatBufferBuilder& b, const DecideReply& reply) {
  const auto edits = put(b, reply.edits);
  const auto deadline_us = static_cast<uint32_t>(reply.deadline.count());
  return {wire::Body::DecideReply, wire::CreateDecideReply(b, edits, deadline_us).Union()};
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
  // No table of ours nests deeper than 4; the number of tables is small and fixed.
  // The size in front catches what was cut within the padding at the end, too.
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), /*max_depth=*/8, /*max_tables=*/16);
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
  const uint64_t id = (*envelope)->id();
  if ((*envelope)->body_as_StatusRequest()) return Message<Request>{id, StatusRequest{}};
  const auto* decide = (*envelope)->body_as_DecideRequest();
  if (decide == nullptr) return Error{"not a request"};

  DecideRequest request{get(*decide->submission()), {}, decide->slurm_version()};
  if (const auto* r = decide->report()) {
    request.report = {r->last_call_us(), r->skipped(), r->timeouts(), r->failures(), r->refused()};
  }
  return Message<Request>{id, std::move(request)};
}

Result<Message<Reply>> decode_reply(std::span<const uint8_t> bytes) {
  const auto envelope = verified(bytes);
  if (!envelope) return envelope.error();
  const uint64_t id = (*envelope)->id();
  if (const auto* decide = (*envelope)->body_as_DecideReply()) {
    return Message<Reply>{
        id, DecideReply{get(*decide->edits()), std::chrono::microseconds(decide->deadline_us())}};
  }
  if (const auto* status = (*envelope)->body_as_StatusReply()) {
    return Message<Reply>{id, StatusReply{get(status->json())}};
  }
  if (const auto* refusal = (*envelope)->body_as_ErrorReply()) {
    return Message<Reply>{id, ErrorReply{get(refusal->reason())}};
  }
  return Error{"not a reply"};
}

}  // namespace auspex::ipc
