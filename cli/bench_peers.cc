// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_peers.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "cli/programs.h"
#include "cli/terminal.h"

namespace auspex::cli {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

// Fitting trees takes seconds, weights for a new network as well.
constexpr double kStartS = 120, kBuildS = 60;
constexpr int kNotStarted = 127;

int milliseconds_until(Clock::time_point end) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
  return static_cast<int>(std::max<int64_t>(left, 0));
}

class Peer final : public Contestant {
 public:
  Peer(BenchLabel label, std::shared_ptr<PeerProcess> process, json request)
      : Contestant(std::move(label)), process_(std::move(process)), request_(std::move(request)) {}

  Result<std::vector<double>> run(const CallRound& round) override {
    request_["batch"] = round.batch;
    request_["cache"] = round.cold ? "cold" : "warm";
    request_["trials"] = round.trials;
    request_["seconds"] = round.seconds;
    const Result<std::string> line = process_->ask(json_text(request_), round.seconds + kBuildS);
    if (!line) return line.error();
    const json answer = json::parse(*line, nullptr, false);
    if (answer.is_object() && answer.contains("error") && answer["error"].is_string()) {
      return Error{answer["error"].get<std::string>()};
    }
    std::vector<double> times_us;
    if (answer.is_object() && answer.contains("us") && answer["us"].is_array()) {
      for (const json& time_us : answer["us"]) {
        if (time_us.is_number()) times_us.push_back(time_us.get<double>());
      }
    }
    if (times_us.empty()) return Error{"answered \"" + line->substr(0, 80) + "\""};
    return times_us;
  }

 private:
  std::shared_ptr<PeerProcess> process_;
  json request_;
};

}  // namespace

Result<std::shared_ptr<PeerProcess>> PeerProcess::start(const std::string& onnxruntime) {
  const std::string program = program_path(kLearnProgram);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return Error{std::string("no line to auspex-learn: ") + std::strerror(errno)};
  }
  std::vector<const char*> arguments = {"auspex-learn", "bench-peers"};
  if (!onnxruntime.empty()) arguments.push_back(onnxruntime.c_str());
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(kNotStarted);  // it died before
    // OpenBLAS 0.3.21 takes newer processors for an old one, which costs libtorch a factor of four.
    if (__builtin_cpu_supports("avx512f")) setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
    setenv("OMP_NUM_THREADS", "1", 1);
    dup2(ends[1], STDIN_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    execvp(program.c_str(), const_cast<char**>(arguments.data()));
    _exit(kNotStarted);
  }
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return Error{std::string("auspex-learn cannot be started: ") + std::strerror(errno)};
  }
  return std::shared_ptr<PeerProcess>(new PeerProcess(child, ends[0]));
}

PeerProcess::~PeerProcess() {
  if (child_ > 0) over("");
}

Error PeerProcess::over(const std::string& why) {
  close(socket_);
  // One that has ended by itself has its own exit code; one that has not, has nothing to lose.
  int status = 0;
  pid_t ended = 0;
  for (int wait_ms = 0; ended == 0 && wait_ms < 200; wait_ms += 10) {
    ended = waitpid(child_, &status, WNOHANG);
    if (ended == 0) poll(nullptr, 0, 10);
  }
  if (ended == 0) {
    kill(child_, SIGKILL);
    while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  child_ = -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotStarted) {
    return Error{"auspex-learn is not here: the learn component is not installed"};
  }
  return Error{"auspex-learn " + why};
}

Result<std::string> PeerProcess::ask(const std::string& line, double timeout_s) {
  if (child_ < 0) return Error{};  // which was said
  const std::string bytes = line + "\n";
  // Far less than the socket holds: it does not block.
  if (send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(bytes.size())) {
    return over("takes no requests any more");
  }
  return hear(timeout_s);
}

Result<std::string> PeerProcess::hear(double timeout_s) {
  if (child_ < 0) return Error{};  // which was said
  const auto end = Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(1e3 * timeout_s));
  while (true) {
    const size_t at = heard_.find('\n');
    if (at != std::string::npos) {
      std::string line = heard_.substr(0, at);
      heard_.erase(0, at + 1);
      return line;
    }
    pollfd waited{socket_, POLLIN, 0};
    const int ready = poll(&waited, 1, milliseconds_until(end));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return over("did not answer within " + std::to_string(int(timeout_s)) + " s");
    char block[65536];
    const ssize_t size = recv(socket_, block, sizeof(block), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return over("died");
    heard_.append(block, static_cast<size_t>(size));
  }
}

Result<Contestants> peer_contestants(const std::shared_ptr<PeerProcess>& process,
                                     const std::vector<uint32_t>& hidden, uint32_t rows,
                                     const std::function<void(const std::string&)>& remark) {
  const Result<std::string> line = process->ask(R"({"ask":"peers"})", kStartS);
  if (!line) return line.error();
  const json answer = json::parse(*line, nullptr, false);
  Contestants contestants;
  try {
    for (const json& missing : answer.at("missing")) remark(missing.get<std::string>());
    for (const json& peer : answer.at("peers")) {
      BenchLabel label{peer.at("technique"), peer.at("backend"), peer.at("precision"), "none",
                       peer.at("input")};
      const json request = {{"peer", contestants.size()}, {"hidden", hidden}, {"rows", rows}};
      contestants.push_back(std::make_unique<Peer>(std::move(label), process, request));
    }
  } catch (const json::exception&) {
    return Error{"auspex-learn answered \"" + line->substr(0, 80) + "\""};
  }
  return contestants;
}

}  // namespace auspex::cli
