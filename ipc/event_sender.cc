// SPDX-License-Identifier: Apache-2.0
#include "ipc/event_sender.h"

#include <algorithm>
#include <utility>

namespace auspex::ipc {
namespace {

struct Texts {
  std::string Submission::*member;
  size_t most;
};
constexpr Texts kTexts[] = {
    {&Submission::account, kMaxNameBytes},       {&Submission::partition, kMaxNameBytes},
    {&Submission::qos, kMaxNameBytes},           {&Submission::features, kMaxNameBytes},
    {&Submission::reservation, kMaxNameBytes},   {&Submission::dependency, kMaxNameBytes},
    {&Submission::licenses, kMaxNameBytes},      {&Submission::array, kMaxNameBytes},
    {&Submission::wckey, kMaxNameBytes},         {&Submission::tres_per_job, kMaxNameBytes},
    {&Submission::tres_per_node, kMaxNameBytes}, {&Submission::tres_per_socket, kMaxNameBytes},
    {&Submission::tres_per_task, kMaxNameBytes}, {&Submission::cpus_per_tres, kMaxNameBytes},
    {&Submission::mem_per_tres, kMaxNameBytes},  {&Submission::name, kMaxTextBytes},
    {&Submission::work_dir, kMaxTextBytes},      {&Submission::comment, kMaxTextBytes},
    {&Submission::submit_line, kMaxLineBytes},   {&Submission::admin_comment, kMaxLineBytes},
    {&Submission::script, kMaxScriptBytes},
};

void cut(std::vector<std::string>& texts, size_t most) {
  texts.resize(std::min(texts.size(), most));
  for (std::string& text : texts) text.resize(std::min(text.size(), kMaxNameBytes));
}

// Of one event on the wire, at most: its numbers with their tables, and each text with its length,
// its NUL and the padding.
size_t wire_bytes(const Submission& s) {
  constexpr size_t kNumbers = 512, kPerText = 16;
  size_t bytes = kNumbers;
  for (const Texts& text : kTexts) bytes += (s.*text.member).size() + kPerText;
  for (const auto* list : {&s.argv, &s.environment}) {
    for (const std::string& text : *list) bytes += text.size() + kPerText;
  }
  return bytes;
}

}  // namespace

void cut_to_wire(Submission& submission) {
  for (const Texts& text : kTexts) {
    std::string& value = submission.*text.member;
    value.resize(std::min(value.size(), text.most));
  }
  cut(submission.argv, kMaxArguments);
  cut(submission.environment, kMaxVariables);
}

Status EventSender::add(JobEvent event) {
  cut_to_wire(event.submission);
  constexpr size_t kEnvelope = 256;
  const size_t bytes = wire_bytes(event.submission);
  if (waiting_.events.size() == kMaxJobEvents || bytes_ + bytes + kEnvelope > kMaxMessageBytes) {
    if (Status sent = flush(); !sent) return sent;
  }
  bytes_ += bytes;
  waiting_.events.push_back(std::move(event));
  return Done{};
}

Status EventSender::flush() {
  if (waiting_.events.empty()) return Done{};
  const size_t count = waiting_.events.size();
  auto outcome = client_.call(std::exchange(waiting_, {}), Clock::now() + timeout_);
  bytes_ = 0;
  if (const auto* failure = std::get_if<Failure>(&outcome)) {
    return Error{describe(*failure, client_.socket_path())};
  }
  const auto& reply = std::get<Reply>(outcome);
  if (const auto* refusal = std::get_if<ErrorReply>(&reply)) return Error{refusal->reason};
  const auto* taken = std::get_if<EventsReply>(&reply);
  if (taken == nullptr || taken->accepted != count) {
    return Error{"the daemon at " + client_.socket_path() + " did not take " +
                 std::to_string(count) + " events"};
  }
  sent_ += count;
  return Done{};
}

}  // namespace auspex::ipc
