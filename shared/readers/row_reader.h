// SPDX-License-Identifier: Apache-2.0
// RowReader: what a format makes of a line. One object per file, lines in order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shared/job_record.h"
#include "shared/result.h"

namespace auspex {

enum class RowKind : uint8_t {
  kJob,
  kSkipped,     // understood, but no job to learn from
  kIncomplete,  // the row goes on in the next line
};

class RowReader {
 public:
  virtual ~RowReader() = default;

  // True when the line belongs to the file's header, false when it is a row.
  // Errors: the file is not of this format; says what is missing and what was seen.
  virtual Result<bool> take_header(std::string_view line) = 0;

  // Fills `job` for kJob. Errors: the row is bad; says which column and which value.
  virtual Result<RowKind> take_row(std::string_view line, JobRecord& job) = 0;

  // Whether rows may come: the header is whole, or the format needs none.
  virtual bool ready() const = 0;

  // The next line of a row that goes on cannot be used: the row ends here.
  virtual void drop_row() {}
};

std::unique_ptr<RowReader> make_sacct_reader();
std::unique_ptr<RowReader> make_swf_reader();
std::unique_ptr<RowReader> make_csv_reader();

}  // namespace auspex
