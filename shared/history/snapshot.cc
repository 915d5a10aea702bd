// SPDX-License-Identifier: Apache-2.0
#include "shared/history/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "shared/file.h"

namespace auspex {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

constexpr char kMagic[8] = {'A', 'U', 'S', 'P', 'E', 'X', 'J', 'H'};
constexpr size_t kBufferBytes = size_t{1} << 20;

struct Header {
  char magic[8] = {};
  uint32_t version = 0;
  uint32_t history_version = 0;
  uint32_t feature_version = 0;
  uint32_t zero = 0;
  uint64_t payload_bytes = 0;
  uint64_t checksum = 0;
};
static_assert(std::has_unique_object_representations_v<Header>);

class Checksum {
 public:
  Checksum() : state_(XXH3_createState()) {
    if (state_ == nullptr || XXH3_64bits_reset(state_.get()) != XXH_OK) std::abort();
  }
  void add(const void* data, size_t size) { XXH3_64bits_update(state_.get(), data, size); }
  // Of what was added and then of the header.
  uint64_t with(const Header& header) {
    add(&header, offsetof(Header, checksum));
    return XXH3_64bits_digest(state_.get());
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

// A number, without padding whose bytes would be anybody's.
template <class T>
concept Plain = std::is_arithmetic_v<T> || std::is_enum_v<T>;

class Writer {
 public:
  explicit Writer(int fd) : fd_(fd) { buffer_.reserve(kBufferBytes); }

  template <Plain T>
  void put(T value) {
    if (buffer_.size() + sizeof(T) > kBufferBytes) flush();
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    buffer_.insert(buffer_.end(), bytes, bytes + sizeof(T));
  }

  // What was put since is the payload; the header takes its place at the beginning of the file.
  bool finish(Header header) {
    flush();
    header.payload_bytes = written_;
    header.checksum = checksum_.with(header);
    return ok_ && write_at(fd_, &header, sizeof(header), 0);
  }

 private:
  void flush() {
    checksum_.add(buffer_.data(), buffer_.size());
    ok_ = ok_ && write_at(fd_, buffer_.data(), buffer_.size(), sizeof(Header) + written_);
    written_ += buffer_.size();
    buffer_.clear();
  }

  int fd_;
  std::vector<uint8_t> buffer_;
  Checksum checksum_;
  uint64_t written_ = 0;
  bool ok_ = true;
};

// Reads the payload in pieces. Once it has failed, it gives zeros.
class Reader {
 public:
  Reader(int fd, uint64_t payload_bytes)
      : fd_(fd), end_(sizeof(Header) + payload_bytes), buffer_(kBufferBytes) {}

  // The next piece; empty at the end and on failure.
  std::span<const uint8_t> piece() {
    const uint64_t wanted = std::min<uint64_t>(end_ - next_, kBufferBytes);
    ok_ = ok_ && read_at(fd_, buffer_.data(), wanted, next_) == static_cast<ssize_t>(wanted);
    if (!ok_) return {};
    next_ += wanted;
    return {buffer_.data(), wanted};
  }

  template <Plain T>
  T get() {
    std::array<uint8_t, sizeof(T)> bytes{};
    for (size_t have = 0; have < sizeof(T) && ok_;) {
      if (piece_.empty()) {
        piece_ = piece();
        if (piece_.empty()) ok_ = false;
      }
      const size_t size = std::min(sizeof(T) - have, piece_.size());
      std::copy_n(piece_.begin(), size, bytes.begin() + static_cast<ptrdiff_t>(have));
      piece_ = piece_.subspan(size);
      have += size;
    }
    return ok_ ? std::bit_cast<T>(bytes) : T{};
  }
  bool ok() const { return ok_; }
  bool at_end() const { return next_ == end_ && piece_.empty(); }

 private:
  int fd_;
  uint64_t end_;
  uint64_t next_ = sizeof(Header);  // where in the file the next piece begins
  std::vector<uint8_t> buffer_;
  std::span<const uint8_t> piece_;
  bool ok_ = true;
};

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
      key = job.newer;
    }
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
      if (!in.ok()) break;
      if (key == 0 || saved.count == 0) return "a submission without a key or a count";
      const auto [job, fresh] = history.remember(key);
      if (!fresh) return "a submission twice";
      job.pattern = saved.pattern;
      job.count = saved.count;
      job.candidates = saved.candidates;
      history.bound_in_flight();
    }
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
