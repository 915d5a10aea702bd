// SPDX-License-Identifier: Apache-2.0
#include "shared/history/journal.h"

#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
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
  CalibratedLogs promised{};
  uint32_t is_promised = 0;
  uint64_t checksum = 0;
};
static_assert(sizeof(Record) == kJournalRecordBytes);
static_assert(offsetof(Record, checksum) == sizeof(Record) - sizeof(uint64_t));
static_assert(std::is_trivially_copyable_v<Record>);

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
  record.is_promised = event.promised ? 1 : 0;
  if (event.promised) record.promised = *event.promised;
  return record;
}

HistoryEvent event_of(const Record& record) {
  HistoryEvent event{static_cast<EventKind>(record.kind),
                     static_cast<Ending>(record.ending),
                     {{record.category, record.number}, record.submit_s, record.limit_s},
                     record.start_s,
                     record.end_s,
                     record.runtime_s,
                     std::nullopt};
  if (record.is_promised != 0) event.promised = record.promised;
  return event;
}

bool is_known(const Record& record) {
  return record.kind <= static_cast<uint32_t>(EventKind::kEnded) &&
         record.ending <= static_cast<uint32_t>(Ending::kAtLimit) &&
         std::all_of(record.promised.begin(), record.promised.end(),
                     [](float log_s) { return std::isfinite(log_s); });
}

}  // namespace

HistoryEvent history_event_of(const JobEvent& event) {
  return {event.kind,    event.ending, history_request_of(event.submission),
          event.start_s, event.end_s,  event.runtime_s,
          std::nullopt};
}

void apply(const HistoryEvent& event, JobHistory& history) {
  switch (event.kind) {
    case EventKind::kSubmitted:
      return history.submitted(event.request, event.promised);
    case EventKind::kStarted:
      return history.started(event.request, event.start_s);
    case EventKind::kEnded:
      return history.ended(event.request, event.start_s, event.end_s, event.runtime_s,
                           event.ending);
  }
}

Result<uint64_t> journal_base_of(const std::string& history_path) {
  if (::access(history_path.c_str(), F_OK) != 0 && errno == ENOENT) return uint64_t{0};
  const Result<RegularFile> file = open_regular(history_path);
  if (!file) return file.error();
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  const std::unique_ptr<XXH3_state_t, Free> state(XXH3_createState());
  if (state == nullptr) return Error{history_path + ": no memory for its checksum"};
  XXH3_64bits_reset(state.get());
  std::vector<uint8_t> block(size_t{1} << 20);
  for (uint64_t offset = 0;;) {
    const ssize_t size = read_at(file->file.get(), block.data(), block.size(), offset);
    if (size < 0) return system_error(history_path);
    if (size == 0) break;
    XXH3_64bits_update(state.get(), block.data(), static_cast<size_t>(size));
    offset += static_cast<uint64_t>(size);
  }
  const uint64_t base = XXH3_64bits_digest(state.get());
  return base == 0 ? 1 : base;
}

Result<JournalFile> JournalFile::create(const std::string& path, uint64_t base) {
  Header header;
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kJournalVersion;
  header.feature_version = kFeatureVersion;
  header.base = base;
  header.checksum = checksum_of(header);
  Result<ReplacingFile> made = ReplacingFile::create(path);
  if (!made) return made.error();
  if (!write_at(made->fd(), &header, sizeof(header), 0)) return system_error(path);
  Result<FileDescriptor> file = made->replace_and_keep();
  if (!file) return file.error();
  return JournalFile(path, std::move(*file), header.checksum);
}

Status JournalFile::append(std::span<const HistoryEvent> events) {
  buffer_.resize(events.size() * sizeof(Record));
  for (size_t i = 0; i < events.size(); ++i) {
    Record record = record_of(events[i]);
    record.checksum = checksum_of(record, seed_, records_ + i);
    std::memcpy(buffer_.data() + i * sizeof(Record), &record, sizeof(Record));
  }
  const uint64_t end = sizeof(Header) + records_ * sizeof(Record);
  if (!write_at(file_.get(), buffer_.data(), buffer_.size(), end)) {
    return system_error(path_);
  }
  records_ += events.size();
  return Done{};
}

Status JournalFile::sync() {
  if (::fdatasync(file_.get()) != 0) return system_error(path_);
  return Done{};
}

Result<JournalReader> JournalReader::open(const std::string& path) {
  Result<RegularFile> opened = open_regular(path);
  if (!opened) return opened.error();
  Header header;
  const ssize_t got = read_at(opened->file.get(), &header, sizeof(header), 0);
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
  JournalReader reader(path, std::move(opened->file));
  reader.base_ = header.base;
  reader.seed_ = header.checksum;
  return reader;
}

Result<std::vector<HistoryEvent>> JournalReader::read(size_t most) {
  std::vector<Record> records(most);
  const ssize_t size = read_at(file_.get(), records.data(), records.size() * sizeof(Record),
                               sizeof(Header) + events_ * sizeof(Record));
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

uint64_t JournalReader::unread_bytes() const {
  struct stat info {};
  const uint64_t read = sizeof(Header) + events_ * sizeof(Record);
  if (::fstat(file_.get(), &info) != 0) return 0;
  return std::max(static_cast<uint64_t>(info.st_size), read) - read;
}

bool JournalReader::replaced() const {
  struct stat mine {
  }, there{};
  if (::fstat(file_.get(), &mine) != 0 || ::stat(path_.c_str(), &there) != 0) return true;
  return mine.st_ino != there.st_ino || mine.st_dev != there.st_dev;
}

Status replay(JournalReader& journal, JobHistory& history) {
  constexpr size_t kBlock = 4096;
  for (;;) {
    const Result<std::vector<HistoryEvent>> events = journal.read(kBlock);
    if (!events) return events.error();
    if (events->empty()) return Done{};
    for (const HistoryEvent& event : *events) apply(event, history);
  }
}

Result<Replayed> replay_journal(const std::string& path, uint64_t base, JobHistory& history) {
  Result<JournalReader> journal = JournalReader::open(path);
  if (!journal) return journal.error();
  if (journal->base() != base) return Error{path + ": goes on from another saved history"};
  if (Status replayed = replay(*journal, history); !replayed) return replayed.error();
  return Replayed{journal->events(), journal->unread_bytes()};
}

}  // namespace auspex
