// Finished pieces on the disk, so that a transcription that was broken off goes on where it was.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "core/status.h"
#include "frontends/transcribe/piece_text.h"

namespace gemlet {

/// What a journal belongs to: it is of no use for another recording or with other options.
struct JournalKey {
    uint64_t source_bytes = 0;
    std::string source_hash;  // of all bytes
    std::string settings;     // everything that changes the texts: model, task, segmenter

    friend bool operator==(const JournalKey&, const JournalKey&) = default;
};

/// Key of a file. Errors: those of MappedFile::open.
Result<JournalKey> journal_key(const std::string& source, std::string settings);

/// One line of JSON for a header and for every piece, each flushed to the operating system when
/// written.
class Journal {
  public:
    /// Opens the journal at `path`. With `resume`, pieces of an earlier run with the same key are
    /// read; a broken last line is cut off. Otherwise, or where there is none, a new one begins.
    /// Errors: `bad_argument` when the file is a journal of another recording or other options, or
    /// none at all (only with `resume`); `io`.
    static Result<std::unique_ptr<Journal>> open(const std::string& path, const JournalKey& key,
                                                 bool resume);

    /// The result of an earlier run for this piece; null if there is none with the same range.
    const PieceResult* find(const Piece& piece) const;
    size_t n_known() const { return known_.size(); }

    /// Errors: `io`.
    Status add(const PieceResult& result);
    /// Deletes the file: the transcript is complete.
    void remove();
    const std::string& path() const { return path_; }

  private:
    struct CloseFile {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };

    Status load(const JournalKey& key);
    Status start(const JournalKey& key);

    std::string path_;
    std::unique_ptr<std::FILE, CloseFile> file_;
    std::map<size_t, PieceResult> known_;
};

}  // namespace gemlet
