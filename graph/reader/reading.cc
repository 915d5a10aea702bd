// SPDX-License-Identifier: Apache-2.0
#include "graph/reader/reading.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstring>

#include "graph/asked_run.h"
#include "graph/reader/model_file.h"
#include "graph/reader_limits.h"

namespace auspex {
namespace {

std::vector<std::string> real_paths(const std::vector<std::string>& folders) {
  std::vector<std::string> paths;
  for (const std::string& folder : folders) {
    char* const real = ::realpath(folder.c_str(), nullptr);
    paths.emplace_back(real ? real : folder);
    ::free(real);
  }
  return paths;
}

ModelReply reply_to(const ModelQuestion& question, const std::vector<std::string>& folders) {
  const auto asked = asked_run(question.run);
  if (!asked) return refused(question.id, asked.error().message);
  const bool everybody = ::geteuid() != 0;
  const std::vector<std::string> real_folders = real_paths(folders);
  if (Status rights = become(question.uid, question.gid); !rights) {
    return refused(question.id, "the user's rights: " + rights.error().message);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // forgotten with another user
  auto opened = open_model(question.run.path, real_folders, everybody);
  if (!opened) return refused(question.id, opened.error().message);
  const auto need = model_need(opened->file.get(), *asked, question.run.context_mib);
  if (!need) return refused(question.id, need.error().message);
  return {question.id, false, opened->identity, {*need, ""}};
}

void read_model(const ModelQuestion& question, const std::vector<std::string>& folders,
                int channel) {
  limit_reader();
  ModelReply reply;
  try {
    reply = reply_to(question, folders);
  } catch (const std::exception& exception) {
    reply = refused(question.id, exception.what());
  }
  const std::string bytes = encode(reply);
  (void)!::send(channel, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::string how_it_ended(int status) {
  if (!WIFSIGNALED(status)) return "reading it failed";
  const int signal = WTERMSIG(status);
  if (signal == SIGXCPU || signal == SIGKILL) {
    return "reading it took more than " + std::to_string(kMostReaderSeconds) + " s";
  }
  return std::string("reading it failed: ") + ::strsignal(signal);
}

}  // namespace

ModelReply refused(uint64_t id, std::string why) {
  return {id, false, {}, {std::nullopt, std::move(why)}};
}

Result<Reading> Reading::start(const ModelQuestion& question,
                               const std::vector<std::string>& folders) {
  auto child = start_child([&](int channel) { read_model(question, folders, channel); });
  if (!child) return child.error();
  return Reading(question.id, question.uid, std::move(*child));
}

ModelReply Reading::take() {
  char bytes[kMaxQuestionBytes];
  const ssize_t size = ::recv(child_.channel.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  int status = 0;
  ::waitpid(child_.pid, &status, WNOHANG);
  if (size > 0) {
    auto reply = decode_reply({bytes, static_cast<size_t>(size)});
    if (reply && reply->id == id_) return std::move(*reply);
  }
  return refused(id_, how_it_ended(status));
}

}  // namespace auspex
