// SPDX-License-Identifier: Apache-2.0
// The peers of auspex bench: others' libraries, in a child process that takes its turns by request.
// Requests and answers are lines of JSON; learn/bench_peers.cc is the other side.
#pragma once

#include "cli/bench.h"

namespace auspex::cli {

// A child and our end of the line to it; gone with this object.
class PeerProcess {
 public:
  // onnxruntime: a library to load, or empty for the system's.
  // Errors: why there is none.
  static Result<std::shared_ptr<PeerProcess>> start(const std::string& onnxruntime);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  // One line without its end. Errors: it died, or did not answer in time; then it is ended, and
  // later errors are without words.
  Result<std::string> ask(const std::string& line, double timeout_s);
  Result<std::string> hear(double timeout_s);

 private:
  PeerProcess(int child, int socket) : child_(child), socket_(socket) {}
  Error over(const std::string& why);

  int child_;
  int socket_;
  std::string heard_;
};

// Errors: an answer that makes no sense; those of PeerProcess.
// remark: which peers are missing.
Result<Contestants> peer_contestants(const std::shared_ptr<PeerProcess>& process,
                                     const std::vector<uint32_t>& hidden, uint32_t rows,
                                     const std::function<void(const std::string&)>& remark);

}  // namespace auspex::cli
