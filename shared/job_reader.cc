// SPDX-License-Identifier: Apache-2.0
#include "shared/job_reader.h"

#include <memory>
#include <utility>

#include "shared/readers/line_source.h"
#include "shared/readers/row_reader.h"

namespace auspex {
namespace {

// Enough to see what is wrong; the count says how often.
constexpr size_t kMaxComplaints = 10;

std::unique_ptr<RowReader> make_reader(JobFormat format) {
  switch (format) {
    case JobFormat::kSacct:
      return make_sacct_reader();
    case JobFormat::kSwf:
      return make_swf_reader();
    case JobFormat::kCsv:
      return make_csv_reader();
  }
  return nullptr;
}

std::string place(const std::string& path, uint64_t line_number) {
  return path + ":" + std::to_string(line_number) + ": ";
}

// What no format takes.
Status check_line(const LineSource& source, std::string_view line) {
  if (source.overlong()) {
    return Error{"the line is longer than " + std::to_string(kMaxLineBytes) + " bytes"};
  }
  if (line.find('\0') != std::string_view::npos) return Error{"a NUL byte in the row"};
  return Done{};
}

Result<RowKind> take_row(RowReader& reader, const Status& usable, std::string_view line,
                         JobRecord& job) {
  if (usable) return reader.take_row(line, job);
  reader.drop_row();
  return usable.error();
}

// Whether the line belongs to the header.
Result<bool> take_header(RowReader& reader, const Status& usable, std::string_view line) {
  if (usable) return reader.take_header(line);
  if (reader.ready()) return false;
  return Error{"no header row: " + usable.error().message};
}

void complain(const std::string& path, uint64_t line_number, const std::string& reason,
              ReadReport& report) {
  ++report.bad;
  if (report.complaints.size() < kMaxComplaints) {
    report.complaints.push_back(place(path, line_number) + reason);
  }
}

Status check_bad_share(const std::string& path, const ReadOptions& options,
                       const ReadReport& report) {
  if (static_cast<double>(report.bad) <= options.max_bad * static_cast<double>(report.rows)) {
    return Done{};
  }
  return Error{path + ": " + std::to_string(report.bad) + " of " + std::to_string(report.rows) +
               " rows are bad; the first: " + report.complaints.front()};
}

}  // namespace

Result<JobFormat> parse_job_format(std::string_view name) {
  if (name == "sacct") return JobFormat::kSacct;
  if (name == "swf") return JobFormat::kSwf;
  if (name == "csv") return JobFormat::kCsv;
  return Error{"format: '" + std::string(name) + "' is none of sacct, swf, csv"};
}

Result<ReadReport> read_jobs(const std::string& path, JobFormat format, const ReadOptions& options,
                             const std::function<void(JobRecord&&)>& deliver) {
  Result<LineSource> source = LineSource::open(path);
  if (!source) return source.error();
  const std::unique_ptr<RowReader> reader = make_reader(format);
  ReadReport report;
  bool incomplete = false;
  uint64_t blocks_shown = 0;
  std::string_view line;
  while (true) {
    Result<bool> more = source->next(line);
    if (!more) return more.error();
    if (options.progress && (!*more || source->blocks_read() != blocks_shown)) {
      blocks_shown = source->blocks_read();
      options.progress({source->bytes_read(), source->bytes_total(), report.rows});
    }
    if (!*more) break;
    const Status usable = check_line(*source, line);
    if (!incomplete) {
      Result<bool> header = take_header(*reader, usable, line);
      if (!header) return Error{place(path, source->line_number()) + header.error().message};
      if (*header) continue;
      ++report.rows;
    }
    JobRecord job;
    Result<RowKind> kind = take_row(*reader, usable, line, job);
    incomplete = kind.ok() && *kind == RowKind::kIncomplete;
    if (!kind) {
      complain(path, source->line_number(), kind.error().message, report);
    } else if (*kind == RowKind::kSkipped) {
      ++report.skipped;
    } else if (*kind == RowKind::kJob) {
      ++report.jobs;
      deliver(std::move(job));
    }
  }
  if (!reader->ready()) {
    const bool empty = source->line_number() == 0;
    return Error{path + (empty ? ": is empty: no header row" : ": ends within its header row")};
  }
  if (incomplete) {
    complain(path, source->line_number(), "the file ends within quotes", report);
  }
  if (Status checked = check_bad_share(path, options, report); !checked) return checked.error();
  return report;
}

}  // namespace auspex
