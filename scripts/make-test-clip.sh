#!/usr/bin/env bash
# Makes assets/test-clip.flv, the clip that `rtmpd --test-stream` plays over and over.
#
#     scripts/make-test-clip.sh            # needs ffmpeg with libx264, and the DejaVu fonts
#
# 8 s of H.264 (baseline, 640x360, 30 pictures a second, a key frame every 2 s) and AAC (48 kHz, mono). 8 s are a whole
# number of pictures (240) as well as of AAC frames (375), and everything in it that moves is where it began after 8 s:
# the end goes over into the beginning without a seam. Each second begins with a quiet chime that is over before the next.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fonts=${FONTS:-/usr/share/fonts/truetype/dejavu}
bold=$fonts/DejaVuSans-Bold.ttf
plain=$fonts/DejaVuSans.ttf
quiet=(-hide_banner -loglevel error -y)

# The dial: a dark ring, on it an arc that goes round once in 2 s (from one key frame to the next) and fades behind its
# head. Coverage is worked out from the distance to the edges, which makes them smooth.
radius='hypot(X-99.5,Y-99.5)'
ring="clip(9.5-abs($radius-84),0,1)"
behind='mod(T/2-(atan2(X-99.5,99.5-Y)/(2*PI))+1,1)'
ffmpeg "${quiet[@]}" -f lavfi -i "color=black:s=200x200:r=30:d=8,format=rgba,geq=\
r='41+(56-41)*pow(1-$behind,2)':g='53+(189-53)*pow(1-$behind,2)':b='82+(248-82)*pow(1-$behind,2)':a='255*$ring'" \
  -c:v ffv1 "$work/dial.mkv"

# The ball.
ffmpeg "${quiet[@]}" -f lavfi -i "color=black:s=36x36,format=rgba,geq=\
r=251:g=146:b=60:a='255*clip(16.5-hypot(X-17.5,Y-17.5),0,1)'" -frames:v 1 "$work/ball.png"

# The background: colour bars and a grey staircase at the foot, a line of dots above on which the ball rolls.
colours=(ffffff facc15 22d3ee 4ade80 e879f9 f87171 60a5fa 111827)
picture="drawgrid=w=40:h=40:t=1:c=0x16203a"
for n in 0 1 2 3 4 5 6 7; do
  grey=$(printf '%02x' $((n * 255 / 7)))
  picture+=",drawbox=x=$((n * 80)):y=296:w=80:h=40:c=0x${colours[n]}:t=fill"
  picture+=",drawbox=x=$((n * 80)):y=336:w=80:h=24:c=0x$grey$grey$grey:t=fill"
done
picture+=",drawtext=fontfile=$bold:text=rtmpd:fontsize=72:fontcolor=0xf1f5f9:x=292:y=38"
picture+=",drawtext=fontfile=$plain:text='the built-in test stream':fontsize=24:fontcolor=0x94a3b8:x=296:y=118"
picture+=",drawtext=fontfile=$plain:text='your own picture takes its place':fontsize=17:fontcolor=0x64748b:x=296:y=150"
picture+=",drawbox=x=292:y=252:w=308:h=4:c=0x293552:t=fill"
number="drawtext=fontfile=$bold:text='%{eif\\:mod(t\\,8)+1\\:d}':fontsize=84:fontcolor=0xf1f5f9"
number+=":x=150-text_w/2:y=109"

ffmpeg "${quiet[@]}" -f lavfi -i "color=0x0b1220:s=640x360:r=30:d=8" -i "$work/dial.mkv" -loop 1 -r 30 -t 8 -i "$work/ball.png" \
  -filter_complex "[0]$picture[back];[back][1]overlay=50:40:format=rgb[dial];[dial]$number[numbered];\
[numbered][2]overlay=x='288+280*(0.5-0.5*cos(PI*t/2))':y='218-44*abs(sin(PI*t))':format=rgb,format=yuv420p[out]" \
  -map "[out]" -c:v libx264 -profile:v baseline -level 3.0 -preset veryslow -tune animation -crf 25 -g 60 -keyint_min 60 \
  -sc_threshold 0 -threads 1 -frames:v 240 -bsf:v filter_units=remove_types=6 -f h264 "$work/video.h264"

# As ADTS, so that no time before zero comes in: the encoder's first frame is only its run-up.
chime="0.12*exp(-7*mod(t,1))*min(1,mod(t,1)*200)*(sin(2*PI*660*t)+0.4*sin(2*PI*1320*t))*clip((0.9-mod(t,1))*10,0,1)"
ffmpeg "${quiet[@]}" -f lavfi -i "aevalsrc='$chime':s=48000:d=8.1" -ac 1 -c:a aac -b:a 40k -f adts "$work/audio.aac"
# By way of MP4, which has the sequence header before the first frame.
ffmpeg "${quiet[@]}" -i "$work/audio.aac" -c copy -f mp4 "$work/audio.m4a"

ffmpeg "${quiet[@]}" -r 30 -i "$work/video.h264" -i "$work/audio.m4a" -map 0 -map 1 -c copy -frames:a 375 \
  -fflags +bitexact -flvflags no_duration_filesize+no_sequence_end -f flv assets/test-clip.flv
ls -l assets/test-clip.flv
