// SPDX-License-Identifier: Apache-2.0
#include "shared/history/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>

namespace auspex {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

constexpr char kMagic[8] = {'A', 'U', 'S', 'P', 'E', 'X', 'J', 'L'};

struct Header {
  char magic[8] = {};
  uint32_t version = 0;
  uint32_t feature_version = 0;
  uint64_t base = 0;
  uint64_t checksum = 0;
};
static_assert(sizeof(Header) == kJournalHeaderBytes);
static_assert(std::has_unique_object_representations_v<Header>);

// In an order that leaves no padding.
struct Record {
  uint32_t kind = 0;
  uint32_t ending = 0;
  int64_t submit_s = 0, start_s = 0, end_s = 0;
  double runtime_s = 0, limit_s = 0;
  std::array<uint64_t, kCategoryCount> category{};
  std::array<float, kNumberCount> number{};
  uint64_t checksum = 0;
};
static_assert(sizeof(Record) == kJournalRecordBytes);
static_assert(offsetof(Record, checksum) == sizeof(Record) - sizeof(uint64_t));
static_assert(std::is_trivially_copyable_v<Record>);

Error system_error(const std::string& path) {
  return Error{path + ": " + std::strerror(errno)};
}

uint64_t checksum_of(const Header& header) {
  return XXH3_64bits(&header, offsetof(Header, checksum));
}

uint64_t checksum_of(const Record& record, uint64_t seed, uint64_t place) {
  return XXH3_64bits_withSeed(&record, offsetof(Record, checksum), seed + place);
}

Record record_of(const HistoryEvent& event) {
  Record record;
  record.kind = static_cast<uint32_t>(event.kind);
  record.ending = static_cast<uint32_t>(event.ending);
  record.submit_s = event.request.submit_s;
  record.start_s = event.start_s;
  record.end_s = event.end_s;
  record.runtime_s = event.runtime_s;
  record.limit_s = event.request.limit_s;
  record.category = event.request.features.category;
  record.number = event.request.features.number;
  return record;
}

HistoryEvent event_of(const Record& record) {
  return {static_cast<EventKind>(record.kind),
          static_cast<Ending>(record.ending),
          {{record.category, record.number}, record.submit_s, record.limit_s},
          record.start_s,
          record.end_s,
          record.runtime_s};
}

bool is_known(const Record& record) {
  return record.kind <= static_cast<uint32_t>(EventKind::kEnded) &&
         record.ending <= static_cast<uint32_t>(Ending::kAtLimit);
}

class OpenFile {
 public:
  // O_NONBLOCK: a pipe of that name is refused rather than waited for.
  explicit OpenFile(const std::string& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  bool ok() const { return fd_ >= 0; }
  int duplicate() const { return ::fcntl(fd_, F_DUPFD_CLOEXEC, 0); }

  // Up to `size` bytes, fewer only at the end of the file; -1 on an error.
  ssize_t read(void* to, size_t size) const {
    size_t have = 0;
    while (have < size) {
      const ssize_t got = ::read(fd_, static_cast<char*>(to) + have, size - have);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return -1;
      if (got == 0) break;
      have += static_cast<size_t>(got);
    }
    return static_cast<ssize_t>(have);
  }
  Result<uint64_t> regular_size(const std::string& path) const {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) return system_error(path);
    if (!S_ISREG(info.st_mode)) return Error{path + ": not a regular file"};
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  int fd_;
};

// The whole of `bytes` at `offset`; whether it could be written.
bool write_at(int fd, std::span<const uint8_t> bytes, uint64_t offset) {
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t size =
        ::pwrite(fd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(offset + at));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    at += static_cast<size_t>(size);
  }
  return true;
}

}  // namespace

HistoryEvent history_event_of(const JobEvent& event) {
  return {event.kind,    event.ending, history_request_of(event.submission),
          event.start_s, event.end_s,  event.runtime_s};
}

void apply(const HistoryEvent& event, JobHistory& history) {
  switch (event.kind) {
    case EventKind::kSubmitted:
      return history.submitted(event.request);
    case EventKind::kStarted:
      return history.started(event.request, event.start_s);
    case EventKind::kEnded:
      return history.ended(event.request, event.start_s, event.end_s, event.runtime_s,
                           event.ending);
  }
}

Result<uint64_t> journal_base_of(const std::string& history_path) {
  const OpenFile file(history_path);
  if (!file.ok() && errno == ENOENT) return uint64_t{0};
  if (!file.ok()) return system_error(history_path);
  if (const auto size = file.regular_size(history_path); !size) return size.error();
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  const std::unique_ptr<XXH3_state_t, Free> state(XXH3_createState());
  if (state == nullptr) return Error{history_path + ": no memory for its checksum"};
  XXH3_64bits_reset(state.get());
  std::vector<uint8_t> block(size_t{1} << 20);
  for (;;) {
    const ssize_t size = file.read(block.data(), block.size());
    if (size < 0) return system_error(history_path);
    if (size == 0) break;
    XXH3_64bits_update(state.get(), block.data(), static_cast<size_t>(size));
  }
  const uint64_t base = XXH3_64bits_digest(state.get());
  return base == 0 ? 1 : base;
}

Result<JournalFile> JournalFile::create(const std::string& path, uint64_t base) {
  // Made aside: until it is whole, the old one stays.
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return system_error(path);
  Header header;
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kJournalVersion;
  header.feature_version = kFeatureVersion;
  header.base = base;
  header.checksum = checksum_of(header);
  JournalFile journal(path, fd, header.checksum);
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  if (!write_at(fd, {bytes, sizeof(header)}, 0) || ::fchmod(fd, 0644) != 0 || ::fsync(fd) != 0 ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    const Error error = system_error(path);
    ::unlink(temporary.c_str());
    return error;
  }
  return journal;
}

JournalFile::JournalFile(JournalFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      seed_(other.seed_),
      records_(other.records_),
      buffer_(std::move(other.buffer_)) {}

JournalFile& JournalFile::operator=(JournalFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(seed_, other.seed_);
  std::swap(records_, other.records_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

JournalFile::~JournalFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status JournalFile::append(std::span<const HistoryEvent> events) {
  buffer_.resize(events.size() * sizeof(Record));
  for (size_t i = 0; i < events.size(); ++i) {
    Record record = record_of(events[i]);
    record.checksum = checksum_of(record, seed_, records_ + i);
    std::memcpy(buffer_.data() + i * sizeof(Record), &record, sizeof(Record));
  }
  if (!write_at(fd_, buffer_, sizeof(Header) + records_ * sizeof(Record))) {
    return system_error(path_);
  }
  records_ += events.size();
  return Done{};
}

Status JournalFile::sync() {
  if (::fdatasync(fd_) != 0) return system_error(path_);
  return Done{};
}

Result<JournalReader> JournalReader::open(const std::string& path) {
  const OpenFile file(path);
  if (!file.ok()) return system_error(path);
  if (const Result<uint64_t> bytes = file.regular_size(path); !bytes) return bytes.error();
  Header header;
  const ssize_t got = file.read(&header, sizeof(header));
  if (got < 0) return system_error(path);
  if (static_cast<size_t>(got) < sizeof(header)) {
    return Error{path + ": truncated: " + std::to_string(got) + " bytes, a journal has more"};
  }
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    return Error{path + ": not an Auspex journal"};
  }
  const std::pair<const char*, std::pair<uint32_t, uint32_t>> versions[] = {
      {"journal", {header.version, kJournalVersion}},
      {"feature", {header.feature_version, kFeatureVersion}}};
  for (const auto& [what, version] : versions) {
    if (version.first == version.second) continue;
    return Error{path + ": " + what + " version " + std::to_string(version.first) +
                 ", this build reads " + std::to_string(version.second)};
  }
  if (checksum_of(header) != header.checksum) return Error{path + ": altered: its header"};
  const int fd = file.duplicate();
  if (fd < 0) return system_error(path);
  JournalReader reader(path, fd);
  reader.base_ = header.base;
  reader.seed_ = header.checksum;
  return reader;
}

JournalReader::JournalReader(JournalReader&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      base_(other.base_),
      seed_(other.seed_),
      events_(other.events_) {}

JournalReader& JournalReader::operator=(JournalReader&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(base_, other.base_);
  std::swap(seed_, other.seed_);
  std::swap(events_, other.events_);
  return *this;
}

JournalReader::~JournalReader() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::vector<HistoryEvent>> JournalReader::read(size_t most) {
  std::vector<Record> records(most);
  const auto offset = static_cast<off_t>(sizeof(Header) + events_ * sizeof(Record));
  ssize_t size = 0;
  do {
    size = ::pread(fd_, records.data(), records.size() * sizeof(Record), offset);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return system_error(path_);
  std::vector<HistoryEvent> events;
  for (const Record& record :
       std::span(records).first(static_cast<size_t>(size) / sizeof(Record))) {
    if (checksum_of(record, seed_, events_) != record.checksum || !is_known(record)) break;
    events.push_back(event_of(record));
    ++events_;
  }
  return events;
}

bool JournalReader::replaced() const {
  struct stat mine {
  }, there{};
  if (::fstat(fd_, &mine) != 0 || ::stat(path_.c_str(), &there) != 0) return true;
  return mine.st_ino != there.st_ino || mine.st_dev != there.st_dev;
}

Result<Replayed> replay_journal(const std::string& path, uint64_t base, JobHistory& history) {
  constexpr size_t kBlock = 4096;
  Result<JournalReader> reader = JournalReader::open(path);
  if (!reader) return reader.error();
  if (reader->base() != base) return Error{path + ": goes on from another saved history"};
  for (;;) {
    const Result<std::vector<HistoryEvent>> events = reader->read(kBlock);
    if (!events) return events.error();
    if (events->empty()) break;
    for (const HistoryEvent& event : *events) apply(event, history);
  }
  const Result<uint64_t> bytes = OpenFile(path).regular_size(path);
  if (!bytes) return bytes.error();
  const uint64_t read = sizeof(Header) + reader->events() * sizeof(Record);
  return Replayed{reader->events(), *bytes - read};
}

}  // namespace auspex
