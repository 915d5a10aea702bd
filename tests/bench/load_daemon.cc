// SPDX-License-Identifier: Apache-2.0
// load_daemon --socket PATH --count N --rate PER_SECOND
// Asks a daemon for N decisions, evenly spaced at the rate (0: as fast as it answers), and tells it
// of as many jobs that start and end meanwhile. Prints one JSON object: sent, failed, seconds, and
// the round trip as the client saw it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "ipc/client.h"

namespace {

using auspex::ipc::Clock;

struct Options {
  std::string socket;
  uint64_t count = 0;
  double rate = 0;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i];
    if (key == "--socket") options.socket = argv[i + 1];
    if (key == "--count") options.count = std::strtoull(argv[i + 1], nullptr, 10);
    if (key == "--rate") options.rate = std::strtod(argv[i + 1], nullptr);
  }
  if (options.socket.empty() || options.count == 0) {
    std::fprintf(stderr, "usage: load_daemon --socket PATH --count N --rate PER_SECOND\n");
    std::exit(2);
  }
  return options;
}

// Two hundred users with ten kinds of jobs each.
auspex::Submission submission_of(uint64_t number, int64_t now_s) {
  auspex::Submission s;
  s.user = std::to_string(10'000 + number % 200);
  s.account = "account-" + std::to_string(number % 20);
  s.partition = number % 3 == 0 ? "gpu" : "cpu";
  s.name = "job-" + std::to_string(number / 200 % 10);
  s.work_dir = "/home/" + s.user + "/project";
  s.script = "#!/bin/sh\nsrun ./solve --input case.dat\n";
  s.time_limit_min = 60 * static_cast<uint32_t>(1 + number % 24);
  s.num_tasks = static_cast<uint32_t>(1 + number % 8);
  s.submit_time_s = now_s;
  return s;
}

// What the guard tells of the jobs submitted a while ago.
auspex::ipc::EventsRequest completions(uint64_t number, uint64_t size, int64_t now_s) {
  auspex::ipc::EventsRequest request;
  for (uint64_t i = 0; i < size; ++i) {
    auspex::JobEvent event;
    event.kind = auspex::EventKind::kEnded;
    event.submission = submission_of(number + i, now_s - 60);
    event.job_id = static_cast<uint32_t>(1 + (number + i) % 0xfffffff);
    event.start_s = now_s - 50;
    event.end_s = now_s;
    event.runtime_s = 50;
    request.events.push_back(std::move(event));
  }
  return request;
}

double at(const std::vector<double>& sorted, double level) {
  return sorted[static_cast<size_t>(level * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  auspex::ipc::Client client(options.socket);
  constexpr uint64_t kBatch = 32;
  constexpr auto kPatience = std::chrono::seconds(5);
  std::vector<double> trips_us;
  trips_us.reserve(options.count);
  uint64_t failed = 0;
  const auto start = Clock::now();
  for (uint64_t i = 0; i < options.count; ++i) {
    if (options.rate > 0) {
      std::this_thread::sleep_until(
          start + std::chrono::duration_cast<Clock::duration>(
                      std::chrono::duration<double>(static_cast<double>(i) / options.rate)));
    }
    const int64_t now_s = std::time(nullptr);
    const auto before = Clock::now();
    const auto outcome =
        client.call(auspex::ipc::DecideRequest{submission_of(i, now_s), {}, 0}, before + kPatience);
    trips_us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
    failed += std::holds_alternative<auspex::ipc::Failure>(outcome) ? 1 : 0;
    if (i % kBatch == 0) client.call(completions(i, kBatch, now_s), Clock::now() + kPatience);
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::sort(trips_us.begin(), trips_us.end());
  const nlohmann::json result = {
      {"sent", options.count},
      {"failed", failed},
      {"seconds", seconds},
      {"per_second", static_cast<double>(options.count) / seconds},
      {"round_trip_us",
       {{"p50", at(trips_us, .5)}, {"p99", at(trips_us, .99)}, {"max", trips_us.back()}}}};
  std::printf("%s\n", result.dump().c_str());
  return failed == 0 ? 0 : 1;
}
