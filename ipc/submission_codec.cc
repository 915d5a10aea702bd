// SPDX-License-Identifier: Apache-2.0
#include "ipc/submission_codec.h"

#include <charconv>
#include <limits>
#include <utility>

#include "ipc/protocol.h"

namespace auspex::ipc {
namespace {

using flatbuffers::FlatBufferBuilder;
using TextOffset = flatbuffers::Offset<flatbuffers::String>;
using TextsOffset = flatbuffers::Offset<flatbuffers::Vector<TextOffset>>;

TextOffset put(FlatBufferBuilder& builder, const std::string& text) {
  return text.empty() ? 0 : builder.CreateString(text);
}

TextsOffset put(FlatBufferBuilder& builder, const std::vector<std::string>& texts) {
  return texts.empty() ? 0 : builder.CreateVectorOfStrings(texts);
}

std::string get(const flatbuffers::String* text) {
  return text ? text->str() : std::string();
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
// Source: chown(2), (uid_t)-1 is no user.
constexpr uint32_t kNoId = std::numeric_limits<uint32_t>::max();

uint32_t to_id(const std::string& text) {
  uint32_t id = kNoId;
  std::from_chars(text.data(), text.data() + text.size(), id);
  return id;
}

std::string id_text(uint32_t id) {
  return id == kNoId ? std::string() : std::to_string(id);
}

Result<size_t> text_bytes(const wire::Submission& in) {
  if (!is_time(in.submit_time_s())) {
    return Error{"submit time " + std::to_string(in.submit_time_s()) + " is out of range"};
  }
  size_t bytes = 0;
  for (const auto* text :
       {in.account(),         in.partition(),     in.qos(),           in.name(),
        in.work_dir(),        in.submit_line(),   in.features(),      in.reservation(),
        in.dependency(),      in.licenses(),      in.array(),         in.wckey(),
        in.comment(),         in.admin_comment(), in.tres_per_job(),  in.tres_per_node(),
        in.tres_per_socket(), in.tres_per_task(), in.cpus_per_tres(), in.mem_per_tres(),
        in.script()}) {
    bytes += text == nullptr ? 0 : text->size();
  }
  const std::pair<const flatbuffers::Vector<TextOffset>*, size_t> lists[] = {
      {in.argv(), kMaxArguments}, {in.environment(), kMaxVariables}};
  for (const auto& [list, most] : lists) {
    if (list == nullptr) continue;
    if (list->size() > most) {
      return Error{std::to_string(list->size()) + " arguments or variables, at most " +
                   std::to_string(most)};
    }
    for (const auto* text : *list) bytes += text->size();
  }
  return bytes;
}

}  // namespace

bool is_time(int64_t time_s) {
  return time_s >= 0 && time_s <= kMaxTimeS;
}

Status add_text_bytes(const wire::Submission& in, size_t& sum) {
  const Result<size_t> bytes = text_bytes(in);
  if (!bytes) return bytes.error();
  sum += *bytes;
  if (sum > kMaxMessageBytes) return Error{"texts of more bytes than a message has"};
  return Done{};
}

flatbuffers::Offset<wire::Submission> put_submission(FlatBufferBuilder& b, const Submission& s) {
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

Submission get_submission(const wire::Submission& in) {
  Submission s;
  s.kind = in.interactive() ? SubmissionKind::kInteractive : SubmissionKind::kBatch;
  s.submit_time_s = in.submit_time_s();
  s.user = id_text(in.user_id());
  s.group = id_text(in.group_id());
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

}  // namespace auspex::ipc
