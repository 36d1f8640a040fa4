"""Appointments: schedules, slots, bookings."""
