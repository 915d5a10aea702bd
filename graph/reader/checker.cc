// SPDX-License-Identifier: Apache-2.0
#include "graph/reader/checker.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "graph/reader/model_file.h"

namespace auspex {
namespace {

void answer_questions(uint32_t uid, uint32_t gid, int channel) {
  if (!become(uid, gid)) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // forgotten with another user
  char bytes[kMaxQuestionBytes];
  while (true) {
    const ssize_t size = ::recv(channel, bytes, sizeof bytes, 0);
    if (size <= 0) return;
    const auto question = decode_question({bytes, static_cast<size_t>(size)});
    if (!question) return;
    ModelReply checked;
    checked.id = question->id;
    checked.same = identity_of_model(question->run.path) == question->identity;
    const std::string reply = encode(checked);
    if (::send(channel, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) return;
  }
}

}  // namespace

Result<Checker> Checker::start(uint32_t uid, uint32_t gid) {
  auto child = start_child([=](int channel) { answer_questions(uid, gid, channel); });
  if (!child) return child.error();
  return Checker(uid, gid, std::move(*child));
}

bool Checker::ask(const ModelQuestion& question) {
  const auto bytes = encode(question);
  if (!bytes || ::send(fd(), bytes->data(), bytes->size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    return false;
  }
  used_ = Clock::now();
  if (asked_.empty()) since_ = used_;
  asked_.push_back(question.id);
  return true;
}

std::optional<ModelReply> Checker::take() {
  char bytes[kMaxQuestionBytes];
  const ssize_t size = ::recv(fd(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) ended_ = true;
  if (size <= 0) return std::nullopt;
  auto reply = decode_reply({bytes, static_cast<size_t>(size)});
  if (!reply || asked_.empty() || reply->id != asked_.front()) {
    ended_ = true;  // it is not what we have started
    return std::nullopt;
  }
  asked_.pop_front();
  since_ = Clock::now();
  return reply;
}

}  // namespace auspex
