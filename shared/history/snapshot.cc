// SPDX-License-Identifier: Apache-2.0
#include "shared/history/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

#include "shared/file.h"
#include "shared/history/snapshot_stream.h"

namespace auspex {
namespace {

using snapshot::Checksum;
using snapshot::Header;
using snapshot::Reader;
using snapshot::Writer;

constexpr char kMagic[8] = {'A', 'U', 'S', 'P', 'E', 'X', 'J', 'H'};

template <class SomePromise, class Field>
void promise_of(SomePromise& promise, const Field& field) {
  for (auto& value : promise.log_quantile) field(value);
  for (auto& value : promise.log_offset) field(value);
  field(promise.log_asked);
  field(promise.asked_s);
  auto is_new = static_cast<uint8_t>(promise.is_new);
  field(is_new);
  if constexpr (!std::is_const_v<SomePromise>) promise.is_new = is_new != 0;
}

bool is_sound(const Promise& promise) {
  const auto finite = [](const CalibratedLogs& logs) {
    return std::all_of(logs.begin(), logs.end(), [](float log) { return std::isfinite(log); });
  };
  return finite(promise.log_quantile) && finite(promise.log_offset) && promise.log_asked >= 0 &&
         promise.asked_s >= 0;
}

bool has_activity(HistoryKey kind) {
  return kind == HistoryKey::kUser || kind == HistoryKey::kSignature;
}

// The fields of a slot in the order of the file. `field` takes each by reference, to write it or
// to read it: one list, so that the two cannot differ.
template <class Slot, class Field>
void numbers_of(Slot& slot, const Field& field) {
  field(slot.key);
  field(slot.count);
  field(slot.at_limit);
  field(slot.decayed_log_s);
  field(slot.sum);
  field(slot.sum_squares);
}

template <class Slot, class Field>
void activity_of(Slot& slot, const Field& field) {
  auto& in_flight = slot.in_flight;
  field(in_flight.queued);
  field(in_flight.running);
  field(in_flight.known);
  for (size_t i = 0; i < std::min<size_t>(in_flight.known, Running::kStarts); ++i) {
    field(in_flight.starts_s[i]);
    field(in_flight.jobs[i]);
  }
  field(slot.last_submit_s);
  field(slot.last_signature);
  field(slot.streak);
  field(slot.used_share_log);
  for (auto& value : slot.accuracy) field(value);
  for (auto& value : slot.judged) field(value);
}

template <class SomePast, class Field>
void past_of(SomePast& past, const Field& field) {
  field(past.end_s);
  field(past.submit_s);
  field(past.log_runtime_s);
  field(past.log_limit_s);
  field(past.log_cpus);
  field(past.log_memory);
  field(past.request);
  field(past.ending);
}

}  // namespace

class HistorySnapshot {
 public:
  static void write(const JobHistory& history, Writer& out) {
    const auto put = [&out](const auto& value) { out.put(value); };
    put(static_cast<uint32_t>(kHistoryKeys));
    put(static_cast<uint32_t>(kCandidates));
    put(history.jobs_);
    put(history.newest_s_);
    for (size_t kind = 0; kind < kHistoryKeys; ++kind) {
      const KeyTable& table = history.tables_[kind];
      put(table.ring());
      put(static_cast<uint64_t>(table.size()));
      table.visit([&](const KeySlot& slot) {
        numbers_of(slot, put);
        if (has_activity(static_cast<HistoryKey>(kind))) activity_of(slot, put);
        for (uint32_t back = table.kept(slot); back > 0; --back) {
          past_of(table.past(slot, back - 1), put);
        }
      });
    }
    put(static_cast<uint64_t>(history.in_flight_.size()));
    for (uint64_t key = history.oldest_in_flight_; key != 0;) {
      const JobHistory::InFlight& job = history.in_flight_.at(key);
      put(key);
      put(job.pattern);
      put(job.count);
      for (const float value : job.candidates) put(value);
      put(static_cast<uint8_t>(job.promise.has_value()));
      if (job.promise) promise_of(*job.promise, put);
      key = job.newer;
    }
    const CalibrationState calibration = history.calibration_.state();
    put(static_cast<uint64_t>(calibration.users.size()));
    for (const CalibrationState::User& user : calibration.users) {
      put(user.key);
      put(static_cast<uint32_t>(user.scores.size()));
      for (const CalibratedLogs& score : user.scores) {
        for (const float value : score) put(value);
      }
    }
    put(static_cast<uint64_t>(calibration.window.size()));
    for (const uint16_t bits : calibration.window) put(bits);
  }

  // Empty, or what is wrong.
  static std::string read(Reader& in, JobHistory& history) {
    const auto kinds = in.get<uint32_t>(), candidates = in.get<uint32_t>();
    if (in.ok() && (kinds != kHistoryKeys || candidates != kCandidates)) {
      return "its keys or candidates are not this build's";
    }
    history.jobs_ = in.get<uint64_t>();
    history.newest_s_ = in.get<int64_t>();
    for (size_t kind = 0; kind < kHistoryKeys; ++kind) {
      std::string wrong = read_table(in, static_cast<HistoryKey>(kind), history.tables_[kind]);
      if (!wrong.empty()) return wrong;
    }
    std::string wrong = read_in_flight(in, history);
    if (wrong.empty()) wrong = read_calibration(in, history);
    if (!wrong.empty()) return wrong;
    if (!in.ok()) return "the content ends too early";
    return in.at_end() ? "" : "the content goes on after its end";
  }

 private:
  static std::string read_table(Reader& in, HistoryKey kind, KeyTable& table) {
    const auto ring = in.get<uint32_t>();
    if (in.ok() && ring != table.ring()) return "it keeps another number of jobs for each key";
    const auto field = [&in](auto& value) { value = in.get<std::decay_t<decltype(value)>>(); };
    std::vector<Past> past;
    const auto slots = in.get<uint64_t>();
    for (uint64_t i = 0; i < slots && in.ok(); ++i) {
      KeySlot slot;
      numbers_of(slot, field);
      if (has_activity(kind)) activity_of(slot, field);
      past.resize(table.kept(slot));
      for (Past& job : past) past_of(job, field);
      if (!in.ok()) break;
      if (slot.key == 0) return "a key of 0";
      if (slot.in_flight.known > Running::kStarts) return "more starts than are kept";
      if (table.find(slot.key) != nullptr) return "a key twice";
      for (const Past& job : past) {
        if (job.ending > Ending::kAtLimit) return "a job's ending that there is not";
      }
      table.restore(slot, past);
    }
    return "";
  }

  static std::string read_in_flight(Reader& in, JobHistory& history) {
    const auto jobs = in.get<uint64_t>();
    for (uint64_t i = 0; i < jobs && in.ok(); ++i) {
      const auto key = in.get<uint64_t>();
      JobHistory::InFlight saved;
      saved.pattern = in.get<uint64_t>();
      saved.count = in.get<uint32_t>();
      for (float& value : saved.candidates) value = in.get<float>();
      if (in.get<uint8_t>() != 0) {
        promise_of(saved.promise.emplace(),
                   [&in](auto& value) { value = in.get<std::decay_t<decltype(value)>>(); });
      }
      if (!in.ok()) break;
      if (key == 0 || saved.count == 0) return "a submission without a key or a count";
      if (saved.promise && !is_sound(*saved.promise)) return "a promise that is no number";
      const auto [job, fresh] = history.remember(key);
      if (!fresh) return "a submission twice";
      job.pattern = saved.pattern;
      job.count = saved.count;
      job.candidates = saved.candidates;
      job.promise = saved.promise;
      history.bound_in_flight();
    }
    return "";
  }

  static std::string read_calibration(Reader& in, JobHistory& history) {
    CalibrationState state;
    const auto users = in.get<uint64_t>();
    if (users > Calibration::kMostUsers) return "more calibrated users than are kept";
    for (uint64_t i = 0; i < users && in.ok(); ++i) {
      CalibrationState::User& user = state.users.emplace_back();
      user.key = in.get<uint64_t>();
      const auto scores = in.get<uint32_t>();
      if (scores > Calibration::kUserScores) return "more scores of a user than are kept";
      user.scores.resize(scores);
      for (CalibratedLogs& score : user.scores) {
        for (float& value : score) value = in.get<float>();
      }
    }
    const auto window = in.get<uint64_t>();
    if (window > Calibration::kWindow) return "more calibrating jobs than are kept";
    state.window.resize(window);
    for (uint16_t& bits : state.window) bits = in.get<uint16_t>();
    if (!in.ok()) return "";
    Result<Calibration> calibration = Calibration::of(state);
    if (!calibration) return calibration.error().message;
    history.go_on_from(*calibration);
    return "";
  }
};

Status save_history(const JobHistory& history, const std::string& path) {
  Result<ReplacingFile> file = ReplacingFile::create(path);
  if (!file) return file.error();
  Header header;
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kHistoryFileVersion;
  header.history_version = kHistoryVersion;
  header.feature_version = kFeatureVersion;
  Writer out(file->fd());
  HistorySnapshot::write(history, out);
  if (!out.finish(header)) return system_error(path);
  return file->replace();
}

namespace {

Status check_header(const Header& header, uint64_t file_bytes, int fd, const std::string& path) {
  const auto refuse = [&path](const std::string& what) { return Error{path + ": " + what}; };
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    return refuse("not an Auspex job history");
  }
  const auto is = [&refuse](const char* what, uint32_t found, uint32_t known) -> Status {
    if (found == known) return Done{};
    return refuse(std::string(what) + " version " + std::to_string(found) + ", this build reads " +
                  std::to_string(known));
  };
  if (auto same = is("history file", header.version, kHistoryFileVersion); !same) return same;
  if (auto same = is("history", header.history_version, kHistoryVersion); !same) return same;
  if (auto same = is("feature", header.feature_version, kFeatureVersion); !same) return same;
  const uint64_t payload_bytes = file_bytes - sizeof(Header);
  if (header.payload_bytes != payload_bytes) {
    return refuse("truncated or extended: " + std::to_string(payload_bytes) +
                  " bytes of content, the header says " + std::to_string(header.payload_bytes));
  }
  Reader in(fd, payload_bytes);
  Checksum checksum;
  for (auto piece = in.piece(); !piece.empty(); piece = in.piece()) {
    checksum.add(piece.data(), piece.size());
  }
  if (!in.ok()) return refuse("truncated while it was read");
  if (checksum.with(header) != header.checksum) {
    return refuse("altered: the checksum does not match");
  }
  return Done{};
}

}  // namespace

Result<JobHistory> load_history(const std::string& path, const HistoryCapacity& capacity) {
  const Result<RegularFile> file = open_regular(path);
  if (!file) return file.error();
  const uint64_t size = file->bytes;
  Header header;
  if (size < sizeof(header)) {
    return Error{path + ": truncated: " + std::to_string(size) + " bytes, a job history has more"};
  }
  if (read_at(file->file.get(), &header, sizeof(header), 0) != sizeof(header)) {
    return system_error(path);
  }
  if (auto good = check_header(header, size, file->file.get(), path); !good) return good.error();

  // Read a second time rather than kept: the file may be larger than what the capacity allows.
  Reader in(file->file.get(), header.payload_bytes);
  JobHistory history(capacity);
  const std::string wrong = HistorySnapshot::read(in, history);
  if (!wrong.empty()) return Error{path + ": " + wrong};
  return history;
}

}  // namespace auspex
