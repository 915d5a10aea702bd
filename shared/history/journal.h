// SPDX-License-Identifier: Apache-2.0
// Journal: the events since a saved history, in their order, so that a history which was not saved
// in time is what it was: the saved one, and then what the journal tells.
//
// Layout, little-endian: a header (magic "AUSPEXJL", u32 version, u32 kFeatureVersion, u64 the
// XXH3 of the file that the journal goes on from, u64 XXH3 of the header before it), then records
// of one size, each with an XXH3 that depends on the header and the record's place. A record holds
// hashes and numbers, no text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shared/file.h"
#include "shared/history/history.h"
#include "shared/job_event.h"
#include "shared/result.h"

namespace auspex {

inline constexpr uint32_t kJournalVersion = 2;
inline constexpr size_t kJournalHeaderBytes = 32, kJournalRecordBytes = 208;

// An event as the history takes it.
struct HistoryEvent {
  EventKind kind = EventKind::kSubmitted;
  Ending ending = Ending::kDone;
  HistoryRequest request;
  int64_t start_s = 0, end_s = 0;
  double runtime_s = 0;
  std::optional<CalibratedLogs> promised;  // of a submission that was decided
};

HistoryEvent history_event_of(const JobEvent& event);
void apply(const HistoryEvent& event, JobHistory& history);

// The XXH3 of a file's bytes; 0, which is nobody's: there is no such file. Errors name the file.
Result<uint64_t> journal_base_of(const std::string& history_path);

// Appends to a journal. Not a thread of its own: whoever owns it waits for the disk.
class JournalFile {
 public:
  // An empty journal in the place of whatever was there.
  static Result<JournalFile> create(const std::string& path, uint64_t base);
  // All of them or, as far as a reader sees, none: after an error the same ones may be appended
  // again. Handed to the system, which survives the end of the process.
  Status append(std::span<const HistoryEvent> events);
  // Handed to the disk, which survives the end of the system.
  Status sync();

  uint64_t records() const { return records_; }

 private:
  JournalFile(std::string path, FileDescriptor file, uint64_t seed)
      : path_(std::move(path)), file_(std::move(file)), seed_(seed) {}
  std::string path_;
  FileDescriptor file_;
  uint64_t seed_ = 0;
  uint64_t records_ = 0;
  std::vector<uint8_t> buffer_;
};

// Reads a journal, also while another process appends to it.
class JournalReader {
 public:
  // Errors name the file and what is wrong: absent, not a journal, another version.
  static Result<JournalReader> open(const std::string& path);
  uint64_t base() const { return base_; }
  uint64_t events() const { return events_; }  // read so far

  // The next ones, at most `most`; empty: there are no more that are whole, as yet.
  Result<std::vector<HistoryEvent>> read(size_t most);
  uint64_t unread_bytes() const;
  // Whether another file stands at the path by now.
  bool replaced() const;

 private:
  JournalReader(std::string path, FileDescriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}
  std::string path_;
  FileDescriptor file_;
  uint64_t base_ = 0, seed_ = 0, events_ = 0;
};

// Applies all events that are there and were not read yet. Errors: it cannot be read.
Status replay(JournalReader& journal, JobHistory& history);

struct Replayed {
  uint64_t events = 0;
  uint64_t dropped_bytes = 0;  // from the first record that is not whole or not as it was written
};

// Applies the events to the history that was loaded from the file with this base.
// Errors name the file and what is wrong: absent, not a journal, another version, another base.
Result<Replayed> replay_journal(const std::string& path, uint64_t base, JobHistory& history);

}  // namespace auspex
