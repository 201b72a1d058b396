/* An Arduino Uno (ATmega328P, 16 MHz) with a thermometer and a lamp; `uptime` is in seconds.
 *
 * The lamp is the board's own, on PB5. The temperature is that of the chip itself (datasheet, 24.8): no part has to be wired.
 *     make thermometer.hex && avrdude -p m328p -c arduino -P /dev/ttyACM0 -U flash:w:thermometer.hex
 *     edgematrix bridge serial home.yaml --line home/shed/thermometer=/dev/ttyACM0@115200 */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <stdlib.h>
#include <string.h>

#include "em_device.h"

enum { TEMPERATURE, UPTIME, LIT, LAMP };
enum { EVERY_MS = 1000, LAMP_PIN = PB5, RING = 64 };

static volatile uint8_t ring[RING], ring_in;
static uint8_t ring_out;
static bool lit;
static volatile uint16_t clock_ms;

ISR(USART_RX_vect) {
    ring[ring_in] = UDR0;
    ring_in = (ring_in + 1) % RING;
}

ISR(TIMER1_COMPA_vect) { clock_ms++; }

static uint16_t now_ms(void) {
    cli();
    uint16_t now = clock_ms;
    sei();
    return now;
}

static void put(uint8_t byte) {
    while (!(UCSR0A & 1 << UDRE0))
        ;
    UDR0 = byte;
}

/* What the chip's own sensor gives: 314 mV at 25 degrees and 1 mV a degree, up to 10 degrees off. 0 where there is none. */
static uint16_t millivolts(void) {
    ADMUX = 1 << REFS1 | 1 << REFS0 | 8;
    ADCSRA = 1 << ADEN | 1 << ADSC | 7;
    for (uint16_t tries = 0; ADCSRA & 1 << ADSC && tries < 10000; tries++)
        ;
    return ((uint32_t)ADC * 1100) / 1024;
}

static void tell(uint16_t uptime_s) {
    char text[8];
    uint16_t found_mv = millivolts();
    if (found_mv)
        em_emit(TEMPERATURE, itoa((int16_t)found_mv - 289, text, 10));
    em_emit(UPTIME, utoa(uptime_s, text, 10));
}

static uint8_t command(uint8_t port, const char *value, uint8_t size) {
    (void)size;
    if (port != LAMP)
        return EM_NO_PORT;
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return EM_WRONG_VALUE;
    lit = value[1] == 'n';
    PORTB = lit ? PORTB | 1 << LAMP_PIN : PORTB & ~(1 << LAMP_PIN);
    return EM_DONE;
}

static const em_device device = {.hello = "thermometer >temperature >uptime =lit <lamp", .put = put, .command = command};

int main(void) {
    DDRB = 1 << LAMP_PIN;
    UCSR0A = 1 << U2X0;
    UBRR0 = 16; /* 115200 at 16 MHz */
    UCSR0B = 1 << RXCIE0 | 1 << RXEN0 | 1 << TXEN0;
    TCCR1B = 1 << WGM12 | 1 << CS11 | 1 << CS10; /* 250 kHz: 250 steps are a millisecond */
    OCR1A = 249;
    TIMSK1 = 1 << OCIE1A;
    em_begin(&device);
    sei();
    uint8_t told = 2; /* neither on nor off */
    for (uint16_t due_ms = EVERY_MS, uptime_s = 0;;) {
        while (ring_out != ring_in) {
            em_take(ring[ring_out]);
            ring_out = (ring_out + 1) % RING;
        }
        uint16_t now = now_ms();
        em_tick(now);
        if (lit != told && em_event(LIT, lit ? "on" : "off"))
            told = lit; /* while another one waits, this is tried again: the last state is always told */
        if ((int16_t)(now - due_ms) >= 0) {
            due_ms += EVERY_MS;
            tell(++uptime_s);
        }
    }
}
