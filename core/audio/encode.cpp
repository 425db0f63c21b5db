// What both designs share: frames in, projector, soft tokens out, and what waits for the next
// piece.
#include "core/audio/encode.h"

#include <algorithm>

namespace gemlet {
namespace {

/// Keeps what the next tokens need: the last frame of the finished ones and those after it.
void keep_frames(const AudioConfig& config, AudioWorkspace& workspace, const SoundPiece& piece,
                 size_t n) {
    const size_t width = config.frame_width;
    const size_t n_known = 1 + workspace.n_waiting;  // in workspace.frames
    const size_t n_all = n_known + piece.n_frames;
    const size_t first = n * kFramesPerToken;
    workspace.n_tokens += n;
    // Moves forwards, so that nothing is overwritten before it is read.
    for (size_t i = first; i < n_all; ++i) {
        const float* from =
            i < n_known ? workspace.frames + i * width : piece.frames + (i - n_known) * width;
        float* to = workspace.frames + (i - first) * width;
        if (from != to) std::copy_n(from, width, to);
    }
    workspace.n_waiting = n_all - first - 1;
}

}  // namespace

size_t tokens_of(const AudioConfig& config, const AudioWorkspace& workspace,
                 const SoundPiece& piece) noexcept {
    const size_t n = workspace.n_waiting + piece.n_frames;
    return piece.last ? config.soft_tokens(n) : n / config.frames_per_token();
}

size_t encode_piece(const TowerCompute& compute, const AudioModel& model, AudioWorkspace& workspace,
                    const SoundPiece& piece, float* soft) noexcept {
    const AudioConfig& config = model.config;
    const VectorVariant& vector = *compute.kernels.vector;
    const size_t n = tokens_of(config, workspace, piece);
    const size_t width = config.output_width;
    if (n > 0 && config.kind == AudioKind::conformer) {
        subsample(compute, model, workspace, piece, n);  // subsampled [n, subsampled_width]
        run_conformer(compute, model, workspace, n);     // encoded [n, output_width]
    } else if (n > 0) {
        std::copy_n(piece.frames, n * width, workspace.encoded());  // [n, frame_width]
    }
    if (config.kind == AudioKind::conformer && !piece.last) {
        keep_frames(config, workspace, piece, n);
    }
    if (n == 0) return n;
    tower_rows(compute, n, [&](size_t row, size_t) {
        vector.rms_norm(workspace.encoded() + row * width, model.weights.soft_norm,
                        workspace.normed + row * width, width, kAudioEps);
    });
    tower_linear(compute, model.weights.projector, workspace.normed, soft, n);  // [n, text_width]
    return n;
}

}  // namespace gemlet
