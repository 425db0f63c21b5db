// The parts of Status that are not constexpr: copying the subject's name and writing the message.
#include "core/status.h"

#include <cstring>

namespace gemlet {

Status::Status(StatusCode code, const char* text, std::string_view subject, int64_t number)
    : text_(text), number_(number), code_(code) {
    // The end of a path or tensor name tells more than its beginning.
    constexpr std::string_view kCut = "..";
    constexpr size_t kRoom = sizeof(subject_) - 1;
    char* at = subject_;
    if (subject.size() > kRoom) {
        std::memcpy(at, kCut.data(), kCut.size());
        at += kCut.size();
        subject.remove_prefix(subject.size() - (kRoom - kCut.size()));
    }
    if (!subject.empty()) std::memcpy(at, subject.data(), subject.size());
}

std::string Status::message() const {
    std::string line;
    if (subject_[0] != '\0') {
        line += subject_;
        line += ": ";
    }
    line += text_;
    if (number_ != kNoNumber) {
        line += " (";
        line += std::to_string(number_);
        line += ')';
    }
    return line;
}

}  // namespace gemlet
