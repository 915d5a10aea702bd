// SPDX-License-Identifier: Apache-2.0
#include "ipc/server.h"

#include <gtest/gtest.h>

#include <atomic>

#include "ipc/client.h"
#include "tests/fixtures/sockets.h"

namespace auspex::ipc {
namespace {

using fixtures::Impostor;
using fixtures::RunningServer;
using fixtures::TemporaryFolder;

constexpr std::chrono::seconds kLong{30};

// Halves the limit, so that a reply shows which request it belongs to.
class Halving final : public Service {
 public:
  DecideReply decide(const DecideRequest& request) override {
    if (request.submission.name == "throw") throw std::runtime_error("thrown on purpose");
    deciding_ = request.submission.name;
    DecideReply reply;
    reply.edits.time_limit_min = *request.submission.time_limit_min / 2;
    return reply;
  }
  void decided(const DecideRequest&) override { decided_ += deciding_; }
  GuardReply take(const GuardReport& report) override {
    told_ += report.fault.value_or("");
    return {};
  }
  EventsReply take(const EventsRequest& request) override {
    for (const JobEvent& event : request.events) told_ += event.submission.name;
    return {static_cast<uint32_t>(request.events.size())};
  }
  LookReply look(const LookRequest&) override { return {}; }
  SiteReply site() override { return {}; }
  std::string status_json() override { return "{\"ok\":true}"; }

  std::string deciding_, decided_,
      told_;  // the names of the jobs; to be read when the server is gone
};

Request ask(uint32_t limit_min, const std::string& name = "") {
  DecideRequest request;
  request.submission.time_limit_min = limit_min;
  request.submission.name = name;
  return request;
}

uint32_t halved(const std::variant<Reply, Failure>& outcome) {
  return std::get<DecideReply>(std::get<Reply>(outcome)).edits.time_limit_min.value();
}

int connect_raw(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  const auto address = fixtures::address_of(path);
  EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

TEST(Server, AnswersDecisionAndStatus) {
  const TemporaryFolder folder;
  Halving service;
  const RunningServer server(folder / "s", service);
  Client client(folder / "s");
  EXPECT_EQ(halved(client.call(ask(60), Clock::now() + kLong)), 30U);
  EXPECT_EQ(halved(client.call(ask(10), Clock::now() + kLong)), 5U);
  const auto status = request_status(folder / "s", kLong);
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(*status, "{\"ok\":true}");
}

TEST(Server, ManyThreadsEachGetTheirOwnAnswer) {
  const TemporaryFolder folder;
  Halving service;
  const RunningServer server(folder / "s", service);
  Client client(folder / "s");
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  // More threads than the client has slots for.
  for (uint32_t t = 0; t < 40; ++t) {
    threads.emplace_back([&, t] {
      for (uint32_t i = 1; i <= 25; ++i) {
        const uint32_t limit = 1000 * t + 2 * i;
        right += halved(client.call(ask(limit), Clock::now() + kLong)) == limit / 2;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 40 * 25);
}

TEST(Server, RefusesDecisionsToOthersButTellsItsStatus) {
  const TemporaryFolder folder;
  Halving service;
  const RunningServer server(folder / "s", service, {::getuid() + 1});
  Client client(folder / "s");
  const auto outcome = client.call(ask(60), Clock::now() + kLong);
  EXPECT_EQ(std::get<ErrorReply>(std::get<Reply>(outcome)).reason,
            "uid " + std::to_string(::getuid()) + " may not ask for decisions");
  EXPECT_TRUE(request_status(folder / "s", kLong).ok());
}

TEST(Server, HandsOnEventsOfThoseWhoMayDecide) {
  const TemporaryFolder folder;
  Halving service;
  EventsRequest events;
  events.events.resize(2);
  events.events[0].submission.name = "a";
  events.events[1].submission.name = "b";
  {
    const RunningServer server(folder / "s", service);
    Client client(folder / "s");
    const auto outcome = client.call(events, Clock::now() + kLong);
    EXPECT_EQ(std::get<EventsReply>(std::get<Reply>(outcome)).accepted, 2U);
    halved(client.call(ask(60, "c"), Clock::now() + kLong));
  }
  EXPECT_EQ(service.told_, "ab");
  EXPECT_EQ(service.decided_, "c") << "a decision is told once its reply is on its way";
  const RunningServer server(folder / "s", service, {::getuid() + 1});
  const auto outcome = Client(folder / "s").call(events, Clock::now() + kLong);
  EXPECT_TRUE(std::holds_alternative<ErrorReply>(std::get<Reply>(outcome)));
}

TEST(Server, AnExceptionInTheServiceIsAnErrorReply) {
  const TemporaryFolder folder;
  Halving service;
  const RunningServer server(folder / "s", service);
  Client client(folder / "s");
  const auto outcome = client.call(ask(60, "throw"), Clock::now() + kLong);
  EXPECT_EQ(std::get<ErrorReply>(std::get<Reply>(outcome)).reason,
            "internal error: thrown on purpose");
  EXPECT_EQ(halved(client.call(ask(60), Clock::now() + kLong)), 30U);
}

TEST(Server, GarbageIsAnsweredOnceAndTheConnectionDropped) {
  const TemporaryFolder folder;
  Halving service;
  const RunningServer server(folder / "s", service);
  for (const size_t size : {size_t{1}, size_t{100}, kMaxMessageBytes, kMaxMessageBytes + 1}) {
    const int fd = connect_raw(folder / "s");
    const std::vector<uint8_t> noise(size, 0xa5);
    ASSERT_EQ(::send(fd, noise.data(), noise.size(), MSG_NOSIGNAL), static_cast<ssize_t>(size));
    std::vector<uint8_t> reply(kMaxMessageBytes);
    const ssize_t received = ::recv(fd, reply.data(), reply.size(), 0);
    ASSERT_GT(received, 0) << size;
    reply.resize(static_cast<size_t>(received));
    EXPECT_TRUE(std::holds_alternative<ErrorReply>(decode_reply(reply)->body));
    EXPECT_EQ(::recv(fd, reply.data(), reply.size(), 0), 0) << "still open after " << size;
    ::close(fd);
  }
  Client client(folder / "s");
  EXPECT_EQ(halved(client.call(ask(60), Clock::now() + kLong)), 30U);
}

TEST(Server, OneUserCannotTakeAllConnections) {
  const TemporaryFolder folder;
  Halving service;
  const RunningServer server(folder / "s", service, {::getuid() + 1});  // so: a quarter
  std::vector<int> fds;
  for (int i = 0; i < kMaxConnectionsPerUser / 4; ++i) fds.push_back(connect_raw(folder / "s"));
  const int one_more = connect_raw(folder / "s");
  char byte;
  EXPECT_EQ(::recv(one_more, &byte, 1, 0), 0) << "turned away";
  ::close(one_more);
  for (const int fd : fds) ::close(fd);
  // The server sees the closing in its own time.
  bool room_again = false;
  for (const auto give_up = Clock::now() + kLong; !room_again && Clock::now() < give_up;) {
    room_again = request_status(folder / "s", kLong).ok();
  }
  EXPECT_TRUE(room_again);
}

TEST(Server, ASecondDaemonIsKeptOffAndALeftoverSocketReplaced) {
  const TemporaryFolder folder;
  Halving service;
  {
    const RunningServer server(folder / "s", service);
    const auto second = Server::listen({folder / "s", {}});
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().message, (folder / "s") + ": another auspexd serves this socket");
  }
  {
    const Impostor leftover(folder / "s", [](int) {});
  }
  ASSERT_TRUE(std::filesystem::exists(folder / "s"));
  const RunningServer server(folder / "s", service);
  EXPECT_TRUE(request_status(folder / "s", kLong).ok());
}

TEST(Server, NamesAPathThatCannotBe) {
  const auto missing = Server::listen({"/nonexistent/folder/s", {}});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().message, "/nonexistent/folder/s.lock: No such file or directory");
  const auto long_path = Server::listen({"/" + std::string(200, 'x'), {}});
  ASSERT_FALSE(long_path.ok());
  EXPECT_NE(long_path.error().message.find("at most 107 bytes"), std::string::npos);
}

TEST(Client, ReconnectsWhenTheDaemonRestarted) {
  const TemporaryFolder folder;
  Halving service;
  Client client(folder / "s");
  for (int life = 0; life < 3; ++life) {
    const RunningServer server(folder / "s", service);
    EXPECT_EQ(halved(client.call(ask(60), Clock::now() + kLong)), 30U) << life;
  }
}

TEST(Client, SaysWhyNobodyAnswers) {
  const TemporaryFolder folder;
  Client absent(folder / "s");
  auto outcome = absent.call(ask(60), Clock::now() + kLong);
  EXPECT_EQ(std::get<Failure>(outcome).cause, Cause::kUnreachable);
  EXPECT_EQ(describe(std::get<Failure>(outcome), "S"),
            "the daemon cannot be reached at S: No such file or directory");

  const Impostor closes(folder / "c", [](int) {});
  outcome = Client(folder / "c").call(ask(60), Clock::now() + kLong);
  EXPECT_EQ(std::get<Failure>(outcome).cause, Cause::kBroken);

  outcome = Client("").call(ask(60), Clock::now() + kLong);
  EXPECT_EQ(std::get<Failure>(outcome).cause, Cause::kUnreachable);
}

TEST(Client, DoesNotWaitPastItsDeadline) {
  const TemporaryFolder folder;
  std::atomic<bool> done{false};
  const Impostor silent(folder / "s", [&done](int fd) {
    char byte;
    while (::recv(fd, &byte, 1, 0) > 0) continue;  // reads, never answers
    done = true;
  });
  Client client(folder / "s");
  const auto deadline = Clock::now() + std::chrono::milliseconds(20);
  const auto outcome = client.call(ask(60), deadline);
  EXPECT_GE(Clock::now(), deadline);
  EXPECT_EQ(std::get<Failure>(outcome).cause, Cause::kTimeout);
  // An expired deadline is not waited for at all, whatever the daemon does.
  EXPECT_EQ(std::get<Failure>(client.call(ask(60), deadline)).cause, Cause::kTimeout);
}

void answer_with(int fd, const std::vector<uint8_t>& bytes) {
  std::vector<uint8_t> request(kMaxMessageBytes);
  while (::recv(fd, request.data(), request.size(), 0) > 0) {
    ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
}

TEST(Client, RefusesWhatIsNoReply) {
  const auto valid = *encode(Message<Reply>{1, DecideReply{}});
  const auto other_id = *encode(Message<Reply>{999, DecideReply{}});
  const std::vector<std::vector<uint8_t>> lies = {{0x00},
                                                  std::vector<uint8_t>(4096, 0xff),
                                                  {valid.begin(), valid.end() - 1},
                                                  std::vector<uint8_t>(kMaxMessageBytes + 1),
                                                  other_id,
                                                  *encode(Message<Request>{1, StatusRequest{}})};
  for (size_t i = 0; i < lies.size(); ++i) {
    const TemporaryFolder folder;
    const Impostor liar(folder / "s", [&](int fd) { answer_with(fd, lies[i]); });
    Client client(folder / "s");
    const auto outcome = client.call(ask(60), Clock::now() + kLong);
    ASSERT_TRUE(std::holds_alternative<Failure>(outcome)) << i;
    EXPECT_EQ(std::get<Failure>(outcome).cause, Cause::kBadReply) << i;
  }
}

}  // namespace
}  // namespace auspex::ipc
